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

export interface First {
  /** All of it is asked for. Never, when the list is not heard. */
  asked: Promise<unknown>;
  /** All of it is answered, or failed. */
  answered: Promise<unknown>;
}

export function askFirst(client: QueryClient): First {
  const { project } = address();
  const own = [client.prefetchQuery(callerQuery), client.prefetchQuery(statusQuery)];
  if (!project) return { asked: Promise.resolve(), answered: Promise.all(own) };
  own.push(client.prefetchQuery(projectsQuery));
  const asked = new Promise<Promise<unknown>[]>((done) => whenHeard(project, (live) => done(askForCharts(client, project, live))));
  return { asked, answered: asked.then((charts) => Promise.all([...own, ...charts])) };
}

/** The histories of all that the quota page draws, and what happened meanwhile. */
function askForCharts(client: QueryClient, project: string, { byKey }: Live): Promise<unknown>[] {
  const { view, lost, range, project: shown } = address();
  if (view !== "quotas" || lost || shown !== project || byKey.size === 0) return [];
  const asked = sectionsOf(byKey).map(({ quotas }) => {
    const targets = targetsOf(quotas);
    return client.prefetchQuery(historyQuery(project, targets, range, stepOf(targets, range)));
  });
  asked.push(client.prefetchQuery(annotationsQuery(project, range)));
  const connections = targetsOf(connectionsOf(byKey).flatMap(({ quota }) => quota ?? []));
  if (connections.length > 0) asked.push(client.prefetchQuery(historyQuery(project, connections, "7d", TILE_STEP)));
  return asked;
}
