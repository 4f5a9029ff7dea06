// What fires and fired, as the page reads it again and again. Who operates sees what is of the service itself, too.
import { type QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { type Alert, AlertPhase } from "../gen/highwater/v1/alert_pb";
import { ACROSS, alerts, episodeKey } from "./alerts";
import { useCaller } from "./caller";

/** Where alerts are looked at; elsewhere they are counted alone. */
const SHOWN_EVERY_MS = 3_000;
const COUNTED_EVERY_MS = 10_000;
const PAGE = 200;
const MOST_FIRING = 1_000;

const isFiring = ({ phase }: Alert): boolean => phase === AlertPhase.FIRING;
const newestFirst = (a: Alert, b: Alert): number => Number((b.beginTime?.seconds ?? 0n) - (a.beginTime?.seconds ?? 0n)) || a.name.localeCompare(b.name);

/** A project's, and the service's where the caller may see it. */
const projectsOf = (project: string, operates: boolean): string[] => (operates && project !== ACROSS ? [project, ACROSS] : [project]);

/** What fires now. */
export function useFiringAlerts(project: string, { isShown = false } = {}) {
  const caller = useCaller();
  return useQuery({
    queryKey: ["alerts", project, "firing", caller?.operates],
    enabled: caller !== undefined,
    queryFn: async () => {
      const lists = await Promise.all(projectsOf(project, caller?.operates ?? false).map((of) => alerts.listAlerts({ project: of, firing: true, pageSize: MOST_FIRING })));
      return lists.flatMap((list) => list.alerts).toSorted(newestFirst);
    },
    refetchInterval: isShown ? SHOWN_EVERY_MS : COUNTED_EVERY_MS,
  });
}

/** All that is pending, firing or over, the newest first, page by page; of the service the newest page. */
export function useAllAlerts(project: string) {
  const caller = useCaller();
  const own = useInfiniteQuery({
    queryKey: ["alerts", project, "all"],
    queryFn: ({ pageParam }) => alerts.listAlerts({ project, pageSize: PAGE, pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: SHOWN_EVERY_MS,
  });
  const service = useQuery({
    queryKey: ["alerts", ACROSS, "all"],
    enabled: Boolean(caller?.operates) && project !== ACROSS,
    queryFn: () => alerts.listAlerts({ project: ACROSS, pageSize: PAGE }),
    refetchInterval: SHOWN_EVERY_MS,
  });
  const rows = [...(own.data?.pages.flatMap((page) => page.alerts) ?? []), ...(service.data?.alerts ?? [])].toSorted(newestFirst);
  return { own, rows };
}

/** Each episode once: what was read last of one that is in two lists. */
export function together(firing: readonly Alert[], all: readonly Alert[]): Alert[] {
  const found = new Map<string, Alert>();
  // A list that was read before it ended may still say that it fires: what is over is over.
  for (const alert of [...firing, ...all]) {
    const before = found.get(episodeKey(alert));
    if (!before || (isFiring(before) && !isFiring(alert))) found.set(episodeKey(alert), alert);
  }
  return [...found.values()].toSorted(newestFirst);
}

/** What people decided is seen at once. */
export const alertsChanged = (client: QueryClient): Promise<void> => client.invalidateQueries({ queryKey: ["alerts"] });
