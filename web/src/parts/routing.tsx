// Reads which way new sessions go now, for the rows of quotas and the chains. It shows nothing itself.
import { useEffect, useState } from "react";

import { type Routes, Stand } from "../gen/highwater/v1/route_pb";
import { useChains } from "../lib/chains";
import { setRoutes } from "../lib/routes";
import { watchRoutes } from "../lib/routes-watch";
import { waysOf } from "../lib/ways";

export default function RoutingReader({ project }: { project: string }) {
  const [routes, setNow] = useState<Routes>();
  useEffect(() => watchRoutes(project, setNow), [project]);
  // Until when a model is pinned or drained is the chains' to say: they are asked only where one is.
  const isByHand = routes?.chains.some(({ models }) => models.some(({ stand }) => stand === Stand.PINNED || stand === Stand.DRAINED)) ?? false;
  const { data: chains } = useChains(project, isByHand);
  useEffect(() => {
    if (routes) setRoutes(routes.chains, waysOf(routes.chains, chains?.flatMap(({ overrides }) => overrides)));
  }, [routes, chains]);
  useEffect(() => () => setRoutes([], new Map()), [project]);
  return null;
}
