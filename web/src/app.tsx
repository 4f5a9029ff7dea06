// The frame of every view: the bar, the view of the address, and the sign-in when it is asked for.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { type View, go, useAddress } from "./lib/address";
import { useCaller } from "./lib/caller";
import { useLive } from "./lib/live";
import { unauthenticated, wasAsked } from "./lib/service";
import { projectsQuery, statusQuery } from "./lib/service-state";
import { Bar } from "./parts/bar";
import { Lost } from "./parts/lost";
import { part } from "./parts/part";
import { Saying } from "./parts/said";
import { Skeleton } from "./parts/skeleton";
import Quotas from "./views/quotas";

const WAITING = <Skeleton className="mt-6 h-64" />;
const VIEW_OF = {
  quotas: Quotas,
  sessions: part("This view", () => import("./views/sessions").then((of) => of.default), WAITING),
  requests: part("This view", () => import("./views/requests").then((of) => of.default), WAITING),
  alerts: part("This view", () => import("./views/alerts").then((of) => of.default), WAITING),
  settings: part("This view", () => import("./views/settings").then((of) => of.default), WAITING),
  operator: part("This view", () => import("./views/operator").then((of) => of.default), WAITING),
} satisfies Record<View, unknown>;
const SignIn = part("The sign-in", () => import("./views/signin").then((of) => of.default));
const DemoBar = part("The bar of the demo", () => import("./views/demo-bar").then((of) => of.default));

/** A service that is there again is asked again for what could not be read, and for what happened meanwhile. */
function Recovery({ project }: { project: string }) {
  const { status, since } = useLive(project);
  const client = useQueryClient();
  const isLive = status === "live";
  // What was asked for since it is live needs no second question.
  const known = useRef(isLive ? since : undefined);
  useEffect(() => {
    if (!isLive || since === known.current) return;
    known.current = since;
    void client.invalidateQueries({ predicate: ({ state, queryKey }) => state.status === "error" || state.fetchFailureCount > 0 || queryKey[0] === "annotations" });
  }, [client, isLive, since]);
  return null;
}

export function App() {
  const { project, view, lost } = useAddress();
  const caller = useCaller();
  const status = useQuery(statusQuery);
  const projects = useQuery({ ...projectsQuery, enabled: !project && caller !== undefined });
  const [asked, setAsked] = useState(wasAsked);
  useEffect(() => {
    const ask = () => setAsked(true);
    unauthenticated.addEventListener("asked", ask);
    return () => unauthenticated.removeEventListener("asked", ask);
  }, []);
  // The project of the credential, else the first there is.
  const seen = projects.data?.projects.filter((name) => name !== "-");
  const own = caller?.project ?? "";
  const found = seen && (seen.includes(own) ? own : (seen[0] ?? (own || "default")));
  useEffect(() => {
    if (!project && found) go({ project: found }, { replace: true });
  }, [project, found]);
  const Shown = VIEW_OF[view];
  return (
    <>
      {project ? (
        <>
          <Bar project={project} />
          <Recovery project={project} />
          {status.data?.simulation && <DemoBar />}
          <main className="mx-auto max-w-[1392px] px-4 pb-16 min-[1392px]:px-8">
            {lost ? <Lost project={project} page={lost} /> : <Shown key={project} project={project} />}
          </main>
        </>
      ) : (
        <main aria-busy="true" className="h-screen" />
      )}
      <Saying />
      {asked && <SignIn />}
    </>
  );
}
