import { expect, test } from "vitest";

import { between, day, duration, many, minutesLong, moment, ofKnown, zoneOf } from "./time";

test("durations are as people say them", () => {
  expect([0, 40, 65, 3_000, 7_500, 172_800, 400_000].map(duration)).toEqual(["0 s", "40 s", "1 min 5 s", "50 min", "2 h 5 min", "2 d", "4 d 15 h"]);
  expect([0, 3, 80].map(minutesLong)).toEqual(["0 min", "3 min", "1 h 20 min"]);
});

test("what is counted of less than a week says of how much", () => {
  expect([10_080, 9_901, 9_900, 4_400, 2_880, 2_879, 120, 119, 1, 0].map(ofKnown)).toEqual([
    "last week",
    "last week",
    "in the 6 days known",
    "in the 3 days known",
    "in the 2 days known",
    "in the 47 hours known",
    "in the 2 hours known",
    "in the 119 min known",
    "in the 1 min known",
    "in the 0 min known",
  ]);
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

test("a window says the day of its end when it is another, and there is a word for the zone", () => {
  const at = (date: number, hour: number) => new Date(2026, 10, date, hour, 45).getTime() / 1_000;
  const now = at(27, 23);
  expect(between(at(26, 21), at(27, 21), now)).toBe("Thu 21:45 – Fri 21:45");
  expect(between(at(27, 9), at(27, 21), now)).toBe("Fri 09:45 – 21:45");
  expect(zoneOf(now)).toMatch(/^[A-Z][A-Z0-9+:-]*$/);
});

test("so many of something: its number has commas, and one is one", () => {
  expect([0, 1, 20_526, 1n].map((value) => many(value, "session"))).toEqual(["0 sessions", "1 session", "20,526 sessions", "1 session"]);
  expect([1, 1_200].map((value) => many(value, "slot is", "slots are"))).toEqual(["1 slot is", "1,200 slots are"]);
});
