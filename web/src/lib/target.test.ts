import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { QuotaSchema } from "../gen/highwater/v1/quota_pb";
import { Bound, Risk, Week } from "../gen/highwater/v1/types_pb";
import { heldAndTurned, targetKey, targetOf, weight } from "./target";

test("a key names its target and comes back from it", () => {
  for (const key of ["tts/cartesia/sonic-3", "pool:tts", "pool:stt@direct", "llm/openai/gpt-4.1-mini@team-a~generation", "agent"]) {
    expect(targetKey(targetOf(key))).toBe(key);
  }
  // A model may have the signs of account and unit.
  const odd = targetOf("tts/a/b%40c%7Ed%25@direct");
  expect([odd?.target.value?.account, targetKey(odd)]).toEqual(["direct", "tts/a/b%40c%7Ed%25@direct"]);
  expect(odd?.target.case === "meter" && odd.target.value.model).toBe("a/b@c~d%");
  expect(targetOf("nonsense/x")).toBeUndefined();
  expect(targetOf("")).toBeUndefined();
});

test("the worse of now and the week is what counts", () => {
  const of = (risk: Risk, week: Week) => weight(create(QuotaSchema, { risk, week }));
  expect(of(Risk.OVER, Week.CALM)).toBeGreaterThan(of(Risk.AT_LIMIT, Week.CONSTANT));
  expect(of(Risk.OK, Week.CONSTANT)).toBeGreaterThan(of(Risk.APPROACHING, Week.CALM));
  expect(of(Risk.UNKNOWN, Week.CALM)).toBeGreaterThan(of(Risk.OK, Week.CALM));
});

test("of what stands alike the fuller comes first, by what is surely so", () => {
  const of = (recentPeakBound: Bound, recentPeak: number) => weight(create(QuotaSchema, { level: 2, recentPeak, recentPeakBound, limit: { slots: 10 } }));
  expect(of(Bound.EXACT, 9)).toBeGreaterThan(of(Bound.AT_LEAST, 8));
  expect(of(Bound.AT_MOST, 9)).toBe(of(Bound.EXACT, 2));
  expect(of(Bound.ABOUT, 9)).toBe(of(Bound.EXACT, 2));
});

test("what was turned away says why", () => {
  const of = (concurrency: bigint, rate: bigint) => heldAndTurned(create(QuotaSchema, { level: 20, closed: { concurrency, rate } }));
  expect(of(11n, 0n)).toBe("20 held; 11 attempts turned away: by the provider, at its limit");
  expect(of(0n, 1n)).toBe("20 held; 1 attempt turned away: by the provider, for their rate");
  expect(of(2n, 3n)).toBe("20 held; 5 attempts turned away: 2 by the provider, at its limit, 3 by the provider, for their rate");
  expect(heldAndTurned(create(QuotaSchema, { level: 20, refused: 3n, diverted: 1n }))).toBe("20 held; 4 attempts turned away: 3 refused for our limit, 1 given another model");
  expect(of(0n, 0n)).toBe("20 held; 0 attempts turned away");
  expect(heldAndTurned(create(QuotaSchema, { peak: { level: 9 }, peakBound: Bound.AT_LEAST }))).toBe("at least 9 held; 0 attempts turned away");
});
