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

/** "Tue 14:03 – 15:10", "Tue 21:45 – Wed 21:45". */
export function between(from: number, to: number, now = Date.now() / 1_000): string {
  const isSameDay = new Date(from * 1_000).toDateString() === new Date(to * 1_000).toDateString();
  return `${moment(from, now)} – ${isSameDay ? clock(to) : moment(to, now)}`;
}

const zoneFormat = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
/** What the zone is called at a time: "CET", "GMT-5". */
export const zoneOf = (at: number): string => zoneFormat.formatToParts(new Date(at * 1_000)).find(({ type }) => type === "timeZoneName")?.value ?? ZONE;

export const clock = (at: number): string => clockFormat.format(new Date(at * 1_000));
export const full = (at: number): string => fullFormat.format(new Date(at * 1_000));

/** "2 h 5 min", "40 s", "3 d 4 h". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 && minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

/** Minutes as a time: "0 min", "3 min", "1 h 20 min". */
export const minutesLong = (minutes: number): string => (minutes === 0 ? "0 min" : duration(minutes * 60));

const WEEK_MINUTES = 10_080;
/** Less than this is missing of a week that is called one: restarts, and the minute in progress. */
const FEW_MINUTES = 180;

/** Of so many minutes of the last seven days that are known: "last week", "in the 3 days known", "in the 40 min known". */
export function ofKnown(minutes: number): string {
  if (minutes > WEEK_MINUTES - FEW_MINUTES) return "last week";
  if (minutes >= 2 * 1_440) return `in the ${Math.floor(minutes / 1_440)} days known`;
  return `in the ${minutes >= 120 ? `${Math.floor(minutes / 60)} hours` : `${minutes} min`} known`;
}

const numberFormat = new Intl.NumberFormat("en-US");
export const count = (value: number | bigint): string => numberFormat.format(value);

/** So many of something: "1 session", "20,526 sessions"; `more` where another letter or word changes too. */
export const many = (value: number | bigint, one: string, more = `${one}s`): string => `${count(value)} ${Number(value) === 1 ? one : more}`;

/** The value of a field of date and time, in local time, to the minute. */
export const fieldOfTime = (at: number): string => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
