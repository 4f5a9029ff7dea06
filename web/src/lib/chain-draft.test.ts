import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { ChainSchema } from "../gen/highwater/v1/chain_pb";
import { Kind } from "../gen/highwater/v1/types_pb";
import { draftOf, dwellProblem, moved, newDraft, requestOf, requestOfChain } from "./chain-draft";

const chain = create(ChainSchema, {
  name: "voice",
  kind: Kind.TTS,
  models: [{ kind: Kind.TTS, model: "a/a" }, { kind: Kind.TTS, model: "b/b" }],
  fillPercent: 85,
  returnPercent: 60,
  dwell: { seconds: 90n, nanos: 0 },
});

test("a list has one of it at another place, and stays where there is none", () => {
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b"], 0, 2)).toEqual(["a", "b"]);
  expect(moved(["a", "b"], 5, 0)).toEqual(["a", "b"]);
});

test("a chain that is not changed is sent as it was", () => {
  expect(draftOf(chain)).toMatchObject({ fill: "85", return: "60", dwell: "1 min 30 s" });
  expect(requestOf(draftOf(chain))).toEqual({ ...requestOfChain(chain), dwell: { seconds: 90n, nanos: 0 } });
});

test("without thresholds none are sent, and what is left empty is the service's choice", () => {
  const draft = { ...newDraft(Kind.STT), name: " ears ", thresholdsOff: true, dwell: "" };
  expect(requestOf(draft)).toEqual({ name: "ears", kind: Kind.STT, models: [], thresholdsOff: true });
  expect(requestOf({ ...draft, thresholdsOff: false, fill: "", return: "" })).toMatchObject({ fillPercent: 0, returnPercent: 0 });
  // What is no number is refused by the service, in its words.
  expect(requestOf({ ...draft, thresholdsOff: false, fill: "many" }).fillPercent).toBeGreaterThan(100);
});

test("a time that can't be read is said before it is sent", () => {
  expect(dwellProblem("2 min")).toBe("");
  expect(dwellProblem("")).toBe("");
  expect(dwellProblem("soon")).toContain("30 s or 2 min");
});
