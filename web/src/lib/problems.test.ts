import { expect, test } from "vitest";

import { asSentence, fieldProblem, placedProblem } from "./problems";

test("what the service says of a field goes to that field", () => {
  expect(fieldProblem("threshold: is 1001 %; 1000 % is the most")).toEqual({ field: "threshold", problem: "is 1001 %; 1000 % is the most" });
  expect(fieldProblem("rule.name: is needed")).toEqual({ field: "name", problem: "is needed" });
  expect(fieldProblem("Something went wrong.")).toEqual({ field: "", problem: "Something went wrong." });
});

test("what is wrong with one of a list says which", () => {
  expect(placedProblem("models[1]: is there already, at place 0")).toEqual({ field: "models", place: 1, problem: "is there already, at place 0" });
  expect(placedProblem("models[2].model: is empty")).toEqual({ field: "models", place: 2, problem: "is empty" });
  expect(placedProblem("dwell: is 1 s; 30 s is the least")).toEqual({ field: "dwell", place: undefined, problem: "is 1 s; 30 s is the least" });
  expect(placedProblem("Sign in to see this.").field).toBe("");
});

test("beside a field it is a sentence", () => {
  expect(asSentence("is empty; name 1 to 8")).toBe("Is empty; name 1 to 8.");
  expect(asSentence("")).toBe("");
});
