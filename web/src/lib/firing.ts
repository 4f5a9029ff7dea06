// What fires now, by its meter or pool: the bar counts it, rows mark it. Whoever reads it (`parts/firing`) is loaded after the
// page, so that nothing of alerts is waited for.
import { useSyncExternalStore } from "react";

export interface Firing {
  /** As `targetKey` spells it; empty for what is of the service. */
  key: string;
  /** The episode, as the address of the alerts spells it. */
  episode: string;
  tone: "red" | "amber";
  /** "at limit since Tue 14:03". */
  words: string;
}

let firing: readonly Firing[] = [];
let byKey: ReadonlyMap<string, Firing> = new Map();
const listeners = new Set<() => void>();
const listen = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The worst of a meter or pool stands for it. Rows are drawn anew only when something has changed. */
export function setFiring(next: readonly Firing[]): void {
  if (JSON.stringify(next) === JSON.stringify(firing)) return;
  firing = next;
  const found = new Map<string, Firing>();
  for (const one of next) if (one.key && found.get(one.key)?.tone !== "red") found.set(one.key, one);
  // What is the same stays the same.
  for (const [key, one] of found) {
    const before = byKey.get(key);
    if (before && JSON.stringify(before) === JSON.stringify(one)) found.set(key, before);
  }
  byKey = found;
  listeners.forEach((listener) => listener());
}

export const useFiring = (): readonly Firing[] => useSyncExternalStore(listen, () => firing);
export const useFiringByKey = (): ReadonlyMap<string, Firing> => useSyncExternalStore(listen, () => byKey);
