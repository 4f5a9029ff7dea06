// The order of rows: as it is wanted, but never changed under somebody's pointer or focus.

/** The wanted order; while somebody is at the rows the order in which they stand, what is new at the end. */
export function steady(standing: readonly string[], wanted: readonly string[], isHeld: boolean): string[] {
  if (!isHeld || standing.length === 0) return [...wanted];
  const there = new Set(wanted);
  const stood = new Set(standing);
  return [...standing.filter((key) => there.has(key)), ...wanted.filter((key) => !stood.has(key))];
}
