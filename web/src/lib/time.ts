// Times as people read them: local, with their zone where it is not plain.

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const dayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const fullFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});

/** "Tue 14:03"; of seconds since 1970. "19 Nov 14:03" where the weekday alone would leave a doubt. */
export function moment(at: number, now = Date.now() / 1_000): string {
  const date = new Date(at * 1_000);
  const today = new Date(now * 1_000);
  const isSameDay = date.toDateString() === today.toDateString();
  const isOfThisWeek = Math.abs(now - at) < 7 * 86_400 && (isSameDay || date.getDay() !== today.getDay());
  return `${isOfThisWeek ? dayFormat.format(date) : dateFormat.format(date)} ${clockFormat.format(date)}`;
}

/** "Tue", "19 Nov", or "14:02" of today: since when something is, where the day is enough. */
export function day(at: number, now = Date.now() / 1_000): string {
  const isToday = new Date(at * 1_000).toDateString() === new Date(now * 1_000).toDateString();
  const text = moment(at, now);
  return isToday ? text.slice(-5) : text.slice(0, -6);
}

export const clock = (at: number): string => clockFormat.format(new Date(at * 1_000));
export const full = (at: number): string => fullFormat.format(new Date(at * 1_000));

/** "2 h 5 min", "40 s", "3 d". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 && minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** Minutes as a time: "0 min", "3 min", "1 h 20 min". */
export const minutesLong = (minutes: number): string => (minutes === 0 ? "0 min" : duration(minutes * 60));

const numberFormat = new Intl.NumberFormat("en-US");
export const count = (value: number | bigint): string => numberFormat.format(value);
