import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Risk, Week } from "../../gen/highwater/v1/types_pb";
import { type Live } from "../../lib/live";
import { isPool, targetKey, weight } from "../../lib/target";
import { clock } from "../../lib/time";
import { Button } from "../../parts/button";
import { Skeleton } from "../../parts/skeleton";

/** Until the service says it: its worst row, plainly. */
function plain(live: Live): string {
  const worst = [...live.byKey.values()].filter((quota) => quota.limit).toSorted((a, b) => weight(b) - weight(a))[0];
  if (!worst?.limit) return live.byKey.size > 0 ? "No model has a limit yet. Set one to see how much room there is." : "";
  return `${worst.displayName}${isPool(worst.target) ? " as a whole" : ""}: ${worst.level} of ${worst.limit.slots}.`;
}

interface Props {
  live: Live;
  onShow: (key: string) => void;
  onRequest: (quota: Quota, wanted: number) => void;
}

/** How the project stands, in one sentence that the service writes. */
export function VerdictLine({ live, onShow, onRequest }: Props) {
  const { verdict } = live;
  const key = targetKey(verdict?.target);
  const quota = live.byKey.get(key);
  const isCalm = !verdict || ((verdict.risk === Risk.OK || verdict.risk === Risk.UNSPECIFIED) && verdict.week <= Week.CALM);
  const isRed = verdict?.risk === Risk.AT_LIMIT || verdict?.risk === Risk.OVER;
  if (live.status === "connecting") return <Skeleton className="my-3.5 h-7 w-2/3" />;
  return (
    <section aria-label="Verdict" className={`flex min-h-14 flex-wrap items-center gap-x-4 gap-y-1 py-2 ${live.status === "stale" ? "opacity-60" : ""}`}>
      <h1 className={`text-[20px] leading-7 font-semibold ${isRed ? "text-red" : isCalm ? "" : "text-amber"}`}>
        {verdict?.sentence || plain(live)}
        {live.status === "stale" && <span className="ml-2 text-[13px] font-normal text-muted">as of {live.asOf ? clock(live.asOf) : "never"}</span>}
      </h1>
      {quota && !isCalm && (
        <span className="flex gap-2">
          <Button onClick={() => onShow(key)}>Show</Button>
          {verdict && verdict.wantedSlots > 0 && (
            <Button look="main" onClick={() => onRequest(quota, verdict.wantedSlots)}>
              Request {verdict.wantedSlots}
            </Button>
          )}
        </span>
      )}
    </section>
  );
}
