import { expect, test } from "vitest";

import { customModel } from "./custom";

test("a model is spelled as the service counts it", () => {
  expect(customModel(" Acme Speech ", "Whisper 9")).toEqual({ model: "acme-speech/whisper-9" });
});

test("what the service would refuse is said first", () => {
  for (const [provider, model] of [["", "x"], ["x", " "], ["<b>", "x"], ["x", "a".repeat(127)], ["ä", "x"]] as const) {
    expect(customModel(provider, model)).toHaveProperty("problem");
  }
});
