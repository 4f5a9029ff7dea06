// Histories of a section's meters and pools: one call, and then its newest minutes again and again.
import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";

import { GetHistoryRequest_Column as Column } from "../gen/highwater/v1/quota_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { type Address, RANGES, windowOf } from "./address";
import { type Begun, type Series, allSeries, begunIn, extended, knownSince } from "./series";
import { columnsOf } from "./service";
import { targetKey } from "./target";

const TAIL_EVERY_MS = 10_000;
const TAIL_MINUTES = 3;
/** What one call may ask for. */
const MOST_TARGETS = 100;

const MINUTE = 60;
const TEN_MINUTES = 600;
/** Width of a point of the lines in the tiles. */
export const TILE_STEP = 1_800;
/** More lines than these are read by ten minutes where a window is long: the highest of each is kept, and a week of minutes is too much to wait for. */
const MANY_LINES = 40;
const LONG_WINDOW_SECONDS = 86_400;

/** Width of a point of a chart of these. */
export function stepOf(targets: Target[], range: Address["range"]): number {
  const { from, to } = windowOf(range, 0);
  return targets.length > MANY_LINES && to - from > LONG_WINDOW_SECONDS ? TEN_MINUTES : MINUTE;
}

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });

async function read(project: string, targets: Target[], from: number, to: number, step: number) {
  const found = new Map<string, Series>();
  for (let start = 0; start < targets.length; start += MOST_TARGETS) {
    const answer = await columnsOf({
      project,
      targets: targets.slice(start, start + MOST_TARGETS),
      startTime: at(from),
      endTime: at(to),
      step: at(step),
      columns: [Column.LIMIT],
    });
    for (const [key, series] of allSeries(answer)) found.set(key, series);
  }
  return found;
}

/** The series of targets in the window of a range. */
export const historyQuery = (project: string, targets: Target[], range: Address["range"], step: number) =>
  queryOptions({
    queryKey: ["history", project, targets.map(targetKey).sort().join("\n"), JSON.stringify(range), step],
    staleTime: Infinity,
    queryFn: () => {
      const { from, to } = windowOf(range, Date.now() / 1_000);
      return read(project, targets, from, to, step);
    },
  });

/** The series of targets in the window of a range, kept up to now. */
export function useHistory(project: string, targets: Target[], range: Address["range"], step = MINUTE) {
  const client = useQueryClient();
  const of = historyQuery(project, targets, range, step);
  const { queryKey } = of;
  const query = useQuery({ ...of, enabled: targets.length > 0 });
  const isLive = typeof range === "string" && query.isSuccess;
  useEffect(() => {
    if (!isLive) return undefined;
    const tail = async () => {
      const { to } = windowOf(range, Date.now() / 1_000);
      const end = Math.ceil(to / step) * step;
      // From where it ends: a page that slept, or a service that was gone, leaves no hole.
      const known = [...(client.getQueryData<Map<string, Series>>(queryKey)?.values() ?? [])].map((of) => of.from + of.peak.length * step);
      const newer = await read(project, targets, Math.min(end, ...known) - Math.max(TAIL_MINUTES * 60, 2 * step), end, step);
      client.setQueryData<Map<string, Series>>(queryKey, (old) => {
        if (!old) return old;
        const next = new Map(old);
        for (const [key, series] of newer) {
          const before = next.get(key);
          next.set(key, before ? extended(before, series) : series);
        }
        return next;
      });
    };
    const timer = setInterval(() => void tail().catch(() => undefined), TAIL_EVERY_MS);
    return () => clearInterval(timer);
    // The key names all of them.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [isLive, queryKey.join("\n")]);
  return query;
}

const WEEK = RANGES["7d"];

/**
 * Since when targets are known that are not known for all of the last seven days: the start of their first minute. Read off
 * what the chart of a week has asked for; a chart of less asks for wide points of the week.
 */
export function useYoung(project: string, targets: Target[], range: Address["range"], step: number): ReadonlyMap<string, number> | undefined {
  const isWeek = range === "7d";
  const week = useQuery({ ...historyQuery(project, targets, range, step), enabled: isWeek && targets.length > 0, select: begunIn });
  const keys = targets.map(targetKey).sort().join("\n");
  const coarse = useQuery({
    queryKey: ["young", project, keys],
    enabled: !isWeek && targets.length > 0,
    staleTime: 600_000,
    // What has begun just now has no minute yet.
    refetchInterval: (query) => (query.state.data?.isWhole === false ? 10_000 : false),
    queryFn: async () => {
      const to = Math.ceil(Date.now() / 1_000 / TEN_MINUTES) * TEN_MINUTES;
      const found = await read(project, targets, to - WEEK, to, TEN_MINUTES);
      return { begun: begunIn(found), isWhole: targets.every((target) => found.get(targetKey(target))?.peak.some((level) => level !== null)) };
    },
  });
  const begun = isWeek ? week.data : coarse.data?.begun;
  const width = isWeek ? step : TEN_MINUTES;
  // The minute in which a wide point begins to be known.
  const fine = useQuery({
    queryKey: ["begun", project, JSON.stringify(begun), width],
    enabled: begun !== undefined && width > MINUTE && Object.keys(begun).length > 0,
    staleTime: Infinity,
    queryFn: () => firstMinutes(project, targets, begun ?? {}, width),
  });
  const since = width > MINUTE ? (fine.data ?? NONE) : begun;
  return useMemo(() => since && new Map(Object.entries(since)), [since]);
}

const NONE: Begun = {};

async function firstMinutes(project: string, targets: Target[], begun: Begun, width: number): Promise<Begun> {
  const found: Begun = {};
  for (const since of new Set(Object.values(begun))) {
    const of = targets.filter((target) => begun[targetKey(target)] === since);
    for (const [key, series] of await read(project, of, since, since + width, MINUTE)) found[key] = knownSince(series) ?? since;
  }
  return found;
}
