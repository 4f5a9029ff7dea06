// What the service says of itself: how it runs, and which projects it has.
import { queryOptions } from "@tanstack/react-query";

import { quotas } from "./service";

export const statusQuery = queryOptions({ queryKey: ["status"], queryFn: () => quotas.getStatus({}), refetchInterval: 30_000 });
export const projectsQuery = queryOptions({ queryKey: ["projects"], queryFn: () => quotas.listProjects({ pageSize: 1_000 }), staleTime: 30_000 });
