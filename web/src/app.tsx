// The frame of every view: the bar, the view of the address, and the sign-in when it is asked for.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, lazy, useEffect, useState } from "react";

import { type View, go, useAddress } from "./lib/address";
import { useCaller } from "./lib/caller";
import { useLive } from "./lib/live";
import { quotas, unauthenticated } from "./lib/service";
import { Bar } from "./parts/bar";
import { Saying } from "./parts/said";
import { Skeleton } from "./parts/skeleton";
import Quotas from "./views/quotas";

const VIEW_OF = {
  quotas: Quotas,
  sessions: lazy(() => import("./views/sessions")),
  requests: lazy(() => import("./views/requests")),
  alerts: lazy(() => import("./views/alerts")),
  settings: lazy(() => import("./views/settings")),
  operator: lazy(() => import("./views/operator")),
} satisfies Record<View, unknown>;
const SignIn = lazy(() => import("./views/signin"));
const DemoBar = lazy(() => import("./views/demo-bar"));

/** A service that is there again is asked again for what could not be read, and for what happened meanwhile. */
function Recovery({ project }: { project: string }) {
  const { status, since } = useLive(project);
  const client = useQueryClient();
  const isLive = status === "live";
  useEffect(() => {
    if (isLive) void client.invalidateQueries({ predicate: ({ state, queryKey }) => state.status === "error" || state.fetchFailureCount > 0 || queryKey[0] === "annotations" });
  }, [client, isLive, since]);
  return null;
}

export function App() {
  const { project, view } = useAddress();
  const caller = useCaller();
  const status = useQuery({ queryKey: ["status"], queryFn: () => quotas.getStatus({}), refetchInterval: 30_000 });
  const projects = useQuery({
    queryKey: ["projects"],
    queryFn: () => quotas.listProjects({ pageSize: 1_000 }),
    enabled: !project && caller !== undefined,
  });
  const [asked, setAsked] = useState(false);
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
          {status.data?.simulation && (
            <Suspense>
              <DemoBar />
            </Suspense>
          )}
          <main className="mx-auto max-w-[1392px] px-4 pb-16 min-[1392px]:px-8">
            <Suspense fallback={<Skeleton className="mt-6 h-64" />}>
              <Shown key={project} project={project} />
            </Suspense>
          </main>
        </>
      ) : (
        <main aria-busy="true" className="h-screen" />
      )}
      <Saying />
      {asked && (
        <Suspense>
          <SignIn />
        </Suspense>
      )}
    </>
  );
}
