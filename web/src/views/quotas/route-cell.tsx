import { type Way } from "../../lib/routes";
import { Chip } from "../../parts/chip";

export const WAY_TONE: Record<Way["tone"], string> = { muted: "text-muted", text: "text-text", violet: "text-violet", amber: "text-amber", red: "text-red" };
/** "chain voice: fallback in use" */
export const waySaid = ({ chain, words }: Way): string => `chain ${chain}: ${words}`;

/** Which way new sessions of its chain go; of several chains, the one that most is to be said of. */
export function RouteCell({ name, ways }: { name: string; ways: readonly Way[] | undefined }) {
  const [way, ...others] = ways ?? [];
  if (!way) {
    return (
      <span className="text-muted">
        <span aria-hidden="true">—</span>
        <span className="sr-only">no route</span>
      </span>
    );
  }
  return (
    <Chip room="chains" label={`Route of ${name}: ${[way, ...others].map(waySaid).join("; ")}`} title={[way, ...others].map(waySaid).join("\n")} className={`${WAY_TONE[way.tone]}`}>
      {way.mark && (
        <span aria-hidden="true" className="mr-1 inline-block w-3 text-center text-[11px]">
          {way.mark}
        </span>
      )}
      {way.words}
      {others.length > 0 && <span className="text-muted"> +{others.length}</span>}
    </Chip>
  );
}
