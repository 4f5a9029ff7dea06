// Who changes something: what their key is called, else its id.
import { useQuery } from "@tanstack/react-query";

import { useCaller } from "./caller";
import { admin } from "./service";

const NOBODY = "dev";

/** The name that limits are set by; 1 to 128 bytes. */
export function useAuthor(): string {
  const caller = useCaller();
  const id = caller?.keyId ?? "";
  const { data } = useQuery({
    queryKey: ["api-key", id],
    queryFn: () => admin.getApiKey({ id }),
    enabled: Boolean(id && caller?.edits),
    staleTime: Infinity,
    retry: false,
  });
  const name = data?.apiKey?.displayName ?? "";
  // A plan's name is the service's to give.
  return name && !name.startsWith("plan:") ? name : id || NOBODY;
}
