import { expect, test } from "vitest";

import { steady } from "./order";

test("rows never move while somebody is at them", () => {
  expect(steady(["a", "b", "c"], ["c", "a", "b"], true)).toEqual(["a", "b", "c"]);
  expect(steady(["a", "b", "c"], ["c", "a", "b"], false)).toEqual(["c", "a", "b"]);
});

test("what is new comes last while they are held, and what is gone is gone", () => {
  expect(steady(["a", "b"], ["new", "b"], true)).toEqual(["b", "new"]);
  expect(steady([], ["b", "a"], true)).toEqual(["b", "a"]);
});
