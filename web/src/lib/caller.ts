// Who is signed in: their role decides which buttons there are.
import { queryOptions, useQuery } from "@tanstack/react-query";

import { Role } from "../gen/highwater/v1/admin_pb";
import { admin } from "./service";

export interface Caller {
  role: Role;
  project: string;
  keyId: string;
  /** What the key is called; empty where it is called nothing. */
  name: string;
  /** Sets limits, manages keys, releases sessions. */
  edits: boolean;
  /** Decides requests, and sees all projects. */
  operates: boolean;
}

export const callerQuery = queryOptions({ queryKey: ["caller"], queryFn: () => admin.getCaller({}), staleTime: 60_000 });

export function useCaller(): Caller | undefined {
  const { data } = useQuery(callerQuery);
  if (!data) return undefined;
  const operates = data.role === Role.OPERATOR;
  return { role: data.role, project: data.project, keyId: data.keyId, name: data.displayName, operates, edits: operates || data.role === Role.EDITOR };
}
