import { describe, expect, test } from "vitest";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { ColumnsSchema } from "../gen/columns_pb";
import { GetHistoryResponseSchema } from "../gen/highwater/v1/quota_pb";
import { Kind } from "../gen/highwater/v1/types_pb";
import { type Series, allSeries, envelope, extended, highest, isNear, lastRead, spread, timeAtEach, uncovered, whatIf } from "./series";

const series = (peak: (number | null)[], from = 0): Series => ({
  key: "tts/a/b",
  from,
  step: 60,
  peak,
  partial: peak.map(() => false),
  late: peak.map(() => false),
  limit: peak.map(() => 20),
});

describe("what the service sends", () => {
  const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
  const target = (model: string) => ({ target: { case: "meter" as const, value: { kind: Kind.TTS, model } } });
  const sent = (histories: { target: ReturnType<typeof target>; peak: number[]; flags: Uint8Array; limitPlusOne: number[]; lowestPeak?: number[] }[]) =>
    allSeries(fromBinary(ColumnsSchema, toBinary(GetHistoryResponseSchema, create(GetHistoryResponseSchema, { startTime: at(6_000), step: at(60), histories }))));

  test("is read as the contract has it: numbers of any width, gaps, lower bounds, and no limit", () => {
    const peak = [0, 1, 127, 128, 16_383, 16_384, 100_000, 2 ** 31, 2 ** 32 - 1];
    const flags = new Uint8Array([0, 1, 2, 0, 3, 0, 4, 8, 0]);
    const limitPlusOne = [0, 1, 2, 128, 129, 0, 100_001, 2 ** 31, 2 ** 32 - 1];
    const found = sent([{ target: target("a/b"), peak, flags, limitPlusOne }, { target: target("c/d"), peak: [], flags: new Uint8Array(), limitPlusOne: [] }]);
    expect(found.get("tts/a/b")).toEqual({
      key: "tts/a/b",
      from: 6_000,
      step: 60,
      peak: [0, null, 127, 128, null, 16_384, 100_000, 2 ** 31, 2 ** 32 - 1],
      partial: [false, false, true, false, true, false, false, false, false],
      late: [false, false, false, false, false, false, true, false, false],
      limit: [null, 0, 1, 127, 128, null, 100_000, 2 ** 31 - 1, 2 ** 32 - 2],
    });
    expect(found.get("tts/c/d")?.peak).toEqual([]);
  });

  test("says of wide points the lowest minute too", () => {
    const wide = { target: target("a/b"), peak: [9, 0, 300], flags: new Uint8Array([0, 1, 0]), limitPlusOne: [], lowestPeak: [2, 0, 129] };
    const [found] = [...sent([wide]).values()];
    expect(found?.low).toEqual([2, 0, 129]);
    expect(found && extended(found, { ...found, from: found.from + 120, peak: [7], low: [5] }).low).toEqual([2, 0, 5]);
    expect(() => sent([{ ...wide, lowestPeak: [2] }])).toThrow(/can’t be read/);
  });

  test("is refused where its columns differ", () => {
    expect(() => sent([{ target: target("a/b"), peak: [1, 2], flags: new Uint8Array([0]), limitPlusOne: [] }])).toThrow(/can’t be read/);
  });
});

describe("envelope", () => {
  test("loses no spike, however many points share a column", () => {
    const values = Array.from({ length: 10_080 }, (_, at) => (at === 7_777 ? 99 : at % 7));
    for (const columns of [1, 90, 331, 1_200]) {
      const found = envelope(values, columns);
      expect(found).toHaveLength(columns);
      expect(Math.max(...found.map((cell) => cell?.high ?? -1))).toBe(99);
      expect(found.filter((cell) => cell?.high === 99)).toHaveLength(1);
    }
  });

  test("knows each column's lowest and highest, and nothing of what is not known", () => {
    expect(envelope([3, 1, null, null, null, 9], 3)).toEqual([{ low: 1, high: 3 }, null, { low: 9, high: 9 }]);
    expect(envelope([], 2)).toEqual([null, null]);
  });
});

test("the highest minute is the first of equals, and an unknown one never", () => {
  expect(highest([1, 5, null, 5, 2], 0, 5)).toBe(1);
  expect(highest([1, 5, null, 5, 2], 2, 4)).toBe(3);
  expect(highest([null, null], 0, 2)).toBe(-1);
  expect(highest([0, 0], 0, 9)).toBe(0);
});

test("90 % is counted in whole numbers", () => {
  expect([isNear(18, 20), isNear(17, 20), isNear(9, 10), isNear(0, 0), isNear(1, 0), isNear(5, 5)]).toEqual([true, false, true, false, true, true]);
  expect(whatIf(series([20, 18, 17, null, 24]), 20)).toEqual({ full: 2, near: 3, covered: 4 });
  // Of a limit of 0, what was in use at all: as the service counts.
  expect(whatIf(series([0, 3, null, 0, 1]), 0)).toEqual({ full: 2, near: 2, covered: 4 });
});

test("newer points are laid over the old ones", () => {
  const joined = extended(series([1, 2, 3]), series([9, 4], 120));
  expect(joined.peak).toEqual([1, 2, 9, 4]);
  expect(extended(series([1]), series([9], 600)).peak).toEqual([9]);
});

test("a stretch that was not covered is one, in whole or in part", () => {
  const known = (peak: (number | null)[]) => uncovered(series(peak));
  expect(known([null, 1, null, null, 2, null])).toEqual([
    [0, 1],
    [2, 4],
    [5, 6],
  ]);
  expect(known([1, 2])).toEqual([]);
  // A minute of a restart: seconds of it are missing, and the rest of the gap is whole.
  expect(uncovered({ peak: [1, 1, null, 2, 2], partial: [false, true, false, true, false] })).toEqual([[1, 4]]);
});

test("labels stand beside their lines and never over each other", () => {
  expect(spread([10, 100], 16, 200)).toEqual([10, 100]);
  expect(spread([10, 12, 11], 16, 200)).toEqual([10, 42, 26]);
  const low = spread([190, 195, 199], 16, 200);
  expect(low).toEqual([152, 168, 184]);
});

test("time at each level is what is at or above it without what is at or above the next", () => {
  expect(timeAtEach([{ level: 4, seconds: 10 }, { level: 1, seconds: 60 }], 100)).toEqual([
    { level: 0, to: 0, seconds: 40, above: 100 },
    { level: 1, to: 3, seconds: 50, above: 60 },
    { level: 4, to: 4, seconds: 10, above: 10 },
  ]);
});

test("the newest point that is read is the newest that is known, unless it was unknown for longer", () => {
  expect([[1, 2, 3], [1, 2, null], [1, null, null], [1, null, null, null], [null, null], []].map((peak) => lastRead({ peak }))).toEqual([2, 1, 0, 3, 1, -1]);
});
