// Histories of a section's meters and pools: one call, and then its newest minutes again and again.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { GetHistoryRequest_Column as Column } from "../gen/highwater/v1/quota_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { type Address, RANGES, windowOf } from "./address";
import { type Series, allSeries, extended, knownSince } from "./series";
import { quotas } from "./service";
import { targetKey } from "./target";

const TAIL_EVERY_MS = 10_000;
const TAIL_MINUTES = 3;
/** What one call may ask for. */
const MOST_TARGETS = 100;

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });

async function read(project: string, targets: Target[], from: number, to: number, step: number) {
  const found = new Map<string, Series>();
  for (let start = 0; start < targets.length; start += MOST_TARGETS) {
    const answer = await quotas.getHistory({
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

/** The series of targets in the window of a range, kept up to now. */
export function useHistory(project: string, targets: Target[], range: Address["range"], step = 60) {
  const client = useQueryClient();
  const keys = targets.map(targetKey).sort().join("\n");
  const queryKey = ["history", project, keys, JSON.stringify(range), step];
  const query = useQuery({
    queryKey,
    enabled: targets.length > 0,
    staleTime: Infinity,
    queryFn: () => {
      const { from, to } = windowOf(range, Date.now() / 1_000);
      return read(project, targets, from, to, step);
    },
  });
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

const NOTHING = { peak: [], from: 0, step: 60 };
const WEEK = RANGES["7d"];
const TEN_MINUTES = 600;
/** What begins later than this after the window does is young: a model that nobody calls at night is not. */
const YOUNG_AFTER = 86_400;

/** Since when targets are known that are not known for all of the last seven days: the start of their first minute. */
export function useYoung(project: string, targets: Target[]): ReadonlyMap<string, number> | undefined {
  const keys = targets.map(targetKey).sort().join("\n");
  const { data } = useQuery({
    queryKey: ["young", project, keys],
    enabled: targets.length > 0,
    staleTime: 600_000,
    // What has begun just now has no minute yet.
    refetchInterval: (query) => (query.state.data?.isWhole === false ? 10_000 : false),
    queryFn: async () => {
      const to = Math.ceil(Date.now() / 1_000 / TEN_MINUTES) * TEN_MINUTES;
      const coarse = await read(project, targets, to - WEEK, to, TEN_MINUTES);
      const begun = new Map<number, Target[]>();
      for (const target of targets) {
        const series = coarse.get(targetKey(target));
        const since = series && knownSince(series);
        if (since !== undefined && since > to - WEEK + YOUNG_AFTER) begun.set(since, [...(begun.get(since) ?? []), target]);
      }
      const found = new Map<string, number>();
      for (const [since, of] of begun) {
        for (const [key, series] of await read(project, of, since, since + TEN_MINUTES, 60)) found.set(key, knownSince(series) ?? since);
      }
      return { found, isWhole: targets.every((target) => knownSince(coarse.get(targetKey(target)) ?? NOTHING) !== undefined) };
    },
  });
  return data?.found;
}
