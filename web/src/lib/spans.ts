// Lengths of time as they are typed: "30 s", "2 min", "1 h 30 min", "7 d".

const SECONDS: Record<string, number> = { s: 1, sec: 1, second: 1, seconds: 1, m: 60, min: 60, minute: 60, minutes: 60, h: 3_600, hour: 3_600, hours: 3_600, d: 86_400, day: 86_400, days: 86_400 };

/** Seconds of what was typed; `undefined` when it is no length of time. A number alone is of minutes. */
export function spanOf(text: string): number | undefined {
  const typed = text.trim().toLowerCase();
  if (/^\d+$/.test(typed)) return Number(typed) * 60;
  const parts = [...typed.matchAll(/(\d+)\s*([a-z]+)\s*/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join("") !== typed) return undefined;
  let sum = 0;
  for (const [, many, unit] of parts) {
    const seconds = SECONDS[unit ?? ""];
    if (seconds === undefined) return undefined;
    sum += Number(many) * seconds;
  }
  return sum;
}

/** As it would be typed: "1 h 30 min"; exact, so that reading it again gives the same. */
export function spanWords(seconds: number): string {
  if (seconds === 0) return "0 s";
  const parts: string[] = [];
  let left = seconds;
  for (const [unit, of] of [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const) {
    const many = Math.floor(left / of);
    if (many > 0) parts.push(`${many} ${unit}`);
    left -= many * of;
  }
  return parts.join(" ");
}
