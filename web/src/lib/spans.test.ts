import { expect, test } from "vitest";

import { spanOf, spanWords } from "./spans";

test("lengths of time are read as they are typed", () => {
  const check = (text: string, seconds: number | undefined) => expect(spanOf(text), text).toBe(seconds);
  check("30 s", 30);
  check("2 min", 120);
  check("2min", 120);
  check(" 1 h 30 min ", 5_400);
  check("7 d", 604_800);
  check("1 hour", 3_600);
  check("5", 300);
  check("0 s", 0);
  check("", undefined);
  check("soon", undefined);
  check("2 min or so", undefined);
  check("2 parsecs", undefined);
  check("-2 min", undefined);
  check("1.5 h", undefined);
});

test("what is written is read as the same", () => {
  for (const seconds of [0, 1, 59, 60, 61, 119, 3_600, 3_661, 5_400, 86_400, 90_061, 604_800]) expect(spanOf(spanWords(seconds))).toBe(seconds);
  expect(spanWords(5_400)).toBe("1 h 30 min");
});
