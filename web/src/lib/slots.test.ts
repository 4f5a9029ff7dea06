import { expect, test } from "vitest";

import { slotsProblem } from "./slots";

test("a number of slots is whole and within the bounds of a limit", () => {
  const from = (least: 0 | 1) => (text: string) => slotsProblem(text, least) === "";
  expect(["0", " 7 ", "16777215"].map(from(0))).toEqual([true, true, true]);
  expect(["", " ", "-1", "1.5", "x", "16777216"].map(from(0))).toEqual([false, false, false, false, false, false]);
  expect(["0", "1"].map(from(1))).toEqual([false, true]);
  expect(slotsProblem("x", 1)).toBe("A whole number from 1 to 16,777,215 is needed.");
});
