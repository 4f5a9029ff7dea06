// Histories as charts read them, and what is found in them. Minutes are counted from the start of a window.
import { fromBinary } from "@bufbuild/protobuf";

import { type Column, type Columns } from "../gen/columns_pb";
import { TargetSchema } from "../gen/highwater/v1/types_pb";
import { targetKey } from "./target";

/** Bit of a minute's flags: nothing was covered, so that there is no level. */
const NOT_COVERED = 1;
/** Its peak is a lower bound: partly covered, or settling. */
const PARTIAL = 2;
/** Late reports raised its peak. */
const LATE = 4;

export interface Series {
  key: string;
  /** Start of the first point, and the width of one; seconds. */
  from: number;
  step: number;
  /** Highest level of each point; `null` where nothing is known. */
  peak: (number | null)[];
  /** Lowest peak of the minutes of each point, where points are wider: with `peak` the envelope of its minutes. */
  low?: number[];
  /** True where the peak is a lower bound. */
  partial: boolean[];
  /** True where late reports raised it: it is an upper bound. */
  late: boolean[];
  /** Limit in force at the end of each point; `null` for none. */
  limit: (number | null)[];
}

/** Whole numbers as they are packed: seven bits a byte, the lowest first, all but the last marked. */
export function unpacked(bytes: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    let value = 0;
    let byte = 0;
    let shift = 0;
    do {
      byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    values.push(value >>> 0);
  }
  return values;
}

export function seriesOf(column: Column, from: number, step: number): Series {
  const peak: (number | null)[] = unpacked(column.peak);
  const limit: (number | null)[] = unpacked(column.limitPlusOne);
  const low = unpacked(column.lowestPeak);
  const { flags } = column;
  if (flags.length !== peak.length || (low.length > 0 && low.length !== peak.length)) throw new Error("The service sent a history that can’t be read.");
  const partial: boolean[] = [];
  const late: boolean[] = [];
  for (let nth = 0; nth < peak.length; nth++) {
    const flag = flags[nth] ?? 0;
    if (flag & NOT_COVERED) peak[nth] = null;
    partial.push((flag & PARTIAL) !== 0);
    late.push((flag & LATE) !== 0);
  }
  for (let nth = 0; nth < limit.length; nth++) {
    const above = limit[nth] ?? 0;
    limit[nth] = above > 0 ? above - 1 : null;
  }
  return { key: targetKey(fromBinary(TargetSchema, column.target)), from, step, peak, ...(low.length > 0 && { low }), partial, late, limit };
}

export function allSeries(answer: Columns): Map<string, Series> {
  const from = Number(answer.startTime?.seconds ?? 0n);
  const step = Number(answer.step?.seconds ?? 60n);
  return new Map(answer.histories.map((column) => seriesOf(column, from, step)).map((series) => [series.key, series]));
}

/** A series with newer points laid over and after its own; both of one step. */
export function extended(old: Series, newer: Series): Series {
  const at = Math.round((newer.from - old.from) / old.step);
  if (newer.step !== old.step || at < 0 || at > old.peak.length) return newer;
  const joined = <T>(a: T[], b: T[]) => [...a.slice(0, at), ...b];
  return {
    ...old,
    peak: joined(old.peak, newer.peak),
    ...(old.low && newer.low && { low: joined(old.low, newer.low) }),
    partial: joined(old.partial, newer.partial),
    late: joined(old.late, newer.late),
    limit: joined(old.limit, newer.limit),
  };
}

/** Index of the highest known value among those from `start` up to and without `end`: the first of equals; -1 for none. */
export function highest(values: readonly (number | null)[], start: number, end: number): number {
  let best = -1;
  let level = -1;
  for (let at = Math.max(start, 0); at < Math.min(end, values.length); at++) {
    const value = values[at];
    if (value != null && value > level) [best, level] = [at, value];
  }
  return best;
}

/** So many of the newest points may be on their way: the minute in progress, and the one that a page is behind. */
const ON_THEIR_WAY = 2;

/** Index of the newest point that is read: what has only just begun is no gap. */
export function lastRead({ peak }: Pick<Series, "peak">): number {
  const last = peak.length - 1;
  const known = peak.findLastIndex((level) => level !== null);
  return known >= 0 && last - known <= ON_THEIR_WAY ? known : last;
}

/** The lowest and highest value of each of so many columns, so that no spike is lost however narrow they are. */
export function envelope(values: readonly (number | null)[], columns: number): ({ low: number; high: number } | null)[] {
  const found: ({ low: number; high: number } | null)[] = [];
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * values.length) / columns);
    const end = Math.max(Math.floor(((column + 1) * values.length) / columns), start + 1);
    let cell: { low: number; high: number } | null = null;
    for (let at = start; at < end && at < values.length; at++) {
      const value = values[at];
      if (value == null) continue;
      if (!cell) cell = { low: value, high: value };
      else cell = { low: Math.min(cell.low, value), high: Math.max(cell.high, value) };
    }
    found.push(cell);
  }
  return found;
}

/** Whether a peak is at or above 90 % of a limit: in whole numbers, as the service counts; of a limit of 0, whether there is any. */
export const isNear = (peak: number, limit: number): boolean => peak > 0 && peak * 10 >= limit * 9;

export interface WhatIf {
  /** Points that were full, at or above 90 % of it, and known at all. */
  full: number;
  near: number;
  covered: number;
}

/** What a limit would have meant. */
export function whatIf(series: Series, limit: number): WhatIf {
  const found = { full: 0, near: 0, covered: 0 };
  for (const peak of series.peak) {
    if (peak == null) continue;
    found.covered++;
    if (peak > 0 && peak >= limit) found.full++;
    if (isNear(peak, limit)) found.near++;
  }
  return found;
}

/** Points whose peak was above a limit. */
export const minutesAbove = (series: Series, limit: number): number => series.peak.filter((peak) => peak !== null && peak > limit).length;

/** Stretches of points that answer a question, as [start, end) indices. */
export function runs(length: number, is: (at: number) => boolean): [number, number][] {
  const found: [number, number][] = [];
  let start = -1;
  for (let at = 0; at <= length; at++) {
    const isIn = at < length && is(at);
    if (isIn && start < 0) start = at;
    if (!isIn && start >= 0) {
      found.push([start, at]);
      start = -1;
    }
  }
  return found;
}

/** Stretches that were not covered, in whole or in part: what is known there is a lower bound, or nothing. */
export const uncovered = ({ peak, partial }: Pick<Series, "peak" | "partial">): [number, number][] => runs(peak.length, (at) => peak[at] == null || partial[at] === true);

/** Places for labels that want to stand at `wanted`, each `height` high, between 0 and `room`, in their order and none over another. */
export function spread(wanted: readonly number[], height: number, room: number): number[] {
  const order = wanted.map((_, nth) => nth).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0) || a - b);
  const placed = new Array<number>(wanted.length).fill(0);
  let floor = 0;
  for (const nth of order) {
    const at = Math.max(wanted[nth] ?? 0, floor);
    placed[nth] = at;
    floor = at + height;
  }
  // Those that were pushed out below move up again.
  let ceiling = Math.max(room, height * wanted.length);
  for (const nth of order.toReversed()) {
    placed[nth] = Math.min(placed[nth] ?? 0, ceiling - height);
    ceiling = placed[nth] ?? 0;
  }
  return placed;
}

/** How long each level was held, of how long it and more was: levels that are thinned stand for those up to the next. */
export function timeAtEach(above: readonly { level: number; seconds: number }[], covered: number): { level: number; to: number; seconds: number; above: number }[] {
  const known = [...above].filter(({ level }) => level > 0).sort((a, b) => a.level - b.level);
  const steps = [{ level: 0, seconds: covered }, ...known];
  return steps.map(({ level, seconds }, nth) => {
    const next = steps[nth + 1];
    return { level, to: next ? next.level - 1 : level, seconds: seconds - (next?.seconds ?? 0), above: seconds };
  });
}
