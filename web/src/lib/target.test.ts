import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { QuotaSchema } from "../gen/highwater/v1/quota_pb";
import { Risk, Week } from "../gen/highwater/v1/types_pb";
import { targetKey, targetOf, weight } from "./target";

test("a key names its target and comes back from it", () => {
  for (const key of ["tts/cartesia/sonic-3", "pool:tts", "pool:stt@direct", "llm/openai/gpt-4.1-mini@team-a~generation", "agent"]) {
    expect(targetKey(targetOf(key))).toBe(key);
  }
  expect(targetOf("nonsense/x")).toBeUndefined();
  expect(targetOf("")).toBeUndefined();
});

test("the worse of now and the week is what counts", () => {
  const of = (risk: Risk, week: Week) => weight(create(QuotaSchema, { risk, week }));
  expect(of(Risk.OVER, Week.CALM)).toBeGreaterThan(of(Risk.AT_LIMIT, Week.CONSTANT));
  expect(of(Risk.OK, Week.CONSTANT)).toBeGreaterThan(of(Risk.APPROACHING, Week.CALM));
  expect(of(Risk.UNKNOWN, Week.CALM)).toBeGreaterThan(of(Risk.OK, Week.CALM));
});
