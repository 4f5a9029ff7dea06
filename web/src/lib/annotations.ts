// What happened in a range, for the marks on all charts: one call for them together.
import { queryOptions, useQuery } from "@tanstack/react-query";

import { type Annotation } from "../gen/highwater/v1/quota_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { type Address, windowOf } from "./address";
import { quotas } from "./service";
import { targetKey } from "./target";

/** What one answer holds at most: the newest. */
const MOST_ANNOTATIONS = 1_000;

const at = (whole: number) => ({ seconds: BigInt(whole), nanos: 0 });

async function read(project: string, range: Address["range"], targets: Target[]): Promise<Annotation[]> {
  const { from, to } = windowOf(range, Date.now() / 1_000);
  return (await quotas.listAnnotations({ project, targets, startTime: at(from), endTime: at(to) })).annotations;
}

/** Of these targets; of all when there are none. */
export const annotationsQuery = (project: string, range: Address["range"], targets: Target[] = []) =>
  queryOptions({
    queryKey: ["annotations", project, JSON.stringify(range), targets.map(targetKey).join("\n")],
    queryFn: () => read(project, range, targets),
    staleTime: 30_000,
    refetchInterval: 15_000,
    retry: false,
  });

/** Those of some targets, and what concerns all of them. */
export function useAnnotations(project: string, range: Address["range"], targets: Target[]) {
  const all = useQuery(annotationsQuery(project, range));
  // Where more happened than one answer holds, these ask for their own.
  const isCut = (all.data?.length ?? 0) >= MOST_ANNOTATIONS;
  const own = useQuery({ ...annotationsQuery(project, range, targets), enabled: isCut && targets.length > 0 });
  return isCut && targets.length > 0 ? own : all;
}
