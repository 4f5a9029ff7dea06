// What the first view needs is asked for before anything is drawn: the service answers while the browser loads what draws it.
// By the same queries as the views', so that these find the answers, or wait for them, and ask for nothing twice.
import { type QueryClient } from "@tanstack/react-query";

import { address } from "./address";
import { annotationsQuery } from "./annotations";
import { callerQuery } from "./caller";
import { TILE_STEP, historyQuery, stepOf } from "./history";
import { type Live, whenHeard } from "./live";
import { projectsQuery, statusQuery } from "./service-state";
import { connectionsOf, sectionsOf, targetsOf } from "./sections";

export function askFirst(client: QueryClient): void {
  const { project } = address();
  if (project) {
    whenHeard(project, (live) => askForCharts(client, project, live));
    void client.prefetchQuery(projectsQuery);
  }
  void client.prefetchQuery(callerQuery);
  void client.prefetchQuery(statusQuery);
}

/** The histories of all that the quota page draws, and what happened meanwhile. */
function askForCharts(client: QueryClient, project: string, { byKey }: Live): void {
  const { view, range, project: shown } = address();
  if (view !== "quotas" || shown !== project || byKey.size === 0) return;
  for (const { quotas } of sectionsOf(byKey)) {
    const targets = targetsOf(quotas);
    void client.prefetchQuery(historyQuery(project, targets, range, stepOf(targets, range)));
  }
  void client.prefetchQuery(annotationsQuery(project, range));
  const connections = targetsOf(connectionsOf(byKey).flatMap(({ quota }) => quota ?? []));
  if (connections.length > 0) void client.prefetchQuery(historyQuery(project, connections, "7d", TILE_STEP));
}
