// Who changes something: what their key is called, else its id.
import { useCaller } from "./caller";

const NOBODY = "dev";

/** The name that limits are set by; 1 to 128 bytes. */
export function useAuthor(): string {
  const caller = useCaller();
  const name = caller?.name ?? "";
  // A plan's name is the service's to give.
  return name && !name.startsWith("plan:") ? name : caller?.keyId || NOBODY;
}
