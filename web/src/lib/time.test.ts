import { expect, test } from "vitest";

import { day, duration, minutesLong, moment } from "./time";

test("durations are as people say them", () => {
  expect([0, 40, 65, 3_000, 7_500, 172_800, 400_000].map(duration)).toEqual(["0 s", "40 s", "1 min 5 s", "50 min", "2 h 5 min", "2 d", "4 d"]);
  expect([0, 3, 80].map(minutesLong)).toEqual(["0 min", "3 min", "1 h 20 min"]);
});

test("a weekday stands for a day of the last week, unless it is that of today", () => {
  const at = (day: number, hour = 14, minute = 3) => new Date(2026, 10, day, hour, minute).getTime() / 1_000;
  const now = at(26);
  expect([at(24), at(26, 9), at(20), at(19, 20), at(12), at(27)].map((moment_) => moment(moment_, now))).toEqual([
    "Tue 14:03",
    "Thu 09:03",
    "Fri 14:03",
    "19 Nov 20:03",
    "12 Nov 14:03",
    "Fri 14:03",
  ]);
});

test("since when something is, is said by the day, and of today by the clock", () => {
  const at = (date: number) => new Date(2026, 10, date, 14, 3).getTime() / 1_000;
  expect([at(24), at(26), at(12)].map((since) => day(since, at(26) + 3_600))).toEqual(["Tue", "14:03", "12 Nov"]);
});
