import { words } from "../lib/service";
import { Button } from "./button";

/** A part that could not be read says so in its own place. */
export function Failed({ what, error, retry }: { what: string; error: unknown; retry: () => void }) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-[4px] border border-dashed px-3 py-2 text-muted">
      <span>
        <span className="text-text">{what} could not be read.</span> {words(error)}
      </span>
      <Button onClick={retry}>Retry</Button>
    </div>
  );
}
