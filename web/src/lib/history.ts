// Histories of a section's meters and pools: one call, and then its newest minutes again and again.
import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { GetHistoryRequest_Column as Column } from "../gen/highwater/v1/quota_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { type Address, windowOf } from "./address";
import { type Series, allSeries, extended } from "./series";
import { columnsOf } from "./service";
import { targetKey } from "./target";

const TAIL_EVERY_MS = 10_000;
const TAIL_MINUTES = 3;
/** What one call may ask for. */
const MOST_TARGETS = 100;

export const MINUTE = 60;
const TEN_MINUTES = 600;
/** Width of a point of the lines in the tiles. */
export const TILE_STEP = 1_800;
/**
 * More lines than these are read by ten minutes where a window is long: a week of minutes is too much to wait for. The highest
 * and the lowest of each are kept, and what stands out is read by the minute all the same (`useSharp`).
 */
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
      // A minute has no lower peak than its own.
      columns: step > MINUTE ? [Column.LIMIT, Column.LOWEST_PEAK] : [Column.LIMIT],
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

/** The same of some of these targets by the minute, where all of them together are read by wider points; `undefined` until it is there. */
export function useSharp(project: string, targets: Target[], range: Address["range"], step: number): ReadonlyMap<string, Series> | undefined {
  return useHistory(project, step > MINUTE ? targets : [], range).data;
}
