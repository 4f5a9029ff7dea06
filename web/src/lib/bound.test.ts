import { expect, test } from "vitest";

import { Bound } from "../gen/highwater/v1/types_pb";
import { boundOf, boundSaid, boundWord, signOf } from "./bound";

test("a peak that is not exact has the sign of the command line, and words", () => {
  const all = [Bound.UNSPECIFIED, Bound.EXACT, Bound.AT_LEAST, Bound.AT_MOST, Bound.ABOUT];
  expect(all.map(signOf)).toEqual(["", "", "≥", "≤", "≈"]);
  expect(all.map(boundWord)).toEqual(["", "", "at least ", "at most ", "about "]);
  expect(all.map((bound) => boundSaid(bound, "9"))).toEqual([
    "",
    "",
    "at least 9: not all was known then",
    "at most 9: late reports raised it",
    "about 9: not all was known then, and late reports raised it",
  ]);
});

test("a point is partly covered, raised by late reports, both, or neither", () => {
  expect([boundOf(false, false), boundOf(true, false), boundOf(false, true), boundOf(true, true)].map(signOf)).toEqual(["", "≥", "≤", "≈"]);
});

test("a bound that is newer than the page is read as exact", () => {
  expect([signOf(99 as Bound), boundWord(99 as Bound), boundSaid(99 as Bound, "9")]).toEqual(["", "", ""]);
});
