import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Risk, Week } from "../../gen/highwater/v1/types_pb";
import { type Live } from "../../lib/live";
import { isPool, targetKey, weight } from "../../lib/target";
import { clock, count } from "../../lib/time";
import { Button } from "../../parts/button";
import { Skeleton } from "../../parts/skeleton";

/** Until the service says it: its worst row, plainly. */
function plain(live: Live): string {
  const worst = [...live.byKey.values()].filter((quota) => quota.limit).toSorted((a, b) => weight(b) - weight(a))[0];
  if (!worst?.limit) return live.byKey.size > 0 ? "No model has a limit yet. Set one to see how much room there is." : "";
  return `${worst.displayName}${isPool(worst.target) ? " as a whole" : ""}: ${count(worst.level)} of ${count(worst.limit.slots)}.`;
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
  const mark = isCalm ? "" : isRed ? "text-red" : "text-amber";
  if (live.status === "connecting") return <Skeleton className="my-3.5 h-7 w-2/3" />;
  return (
    <section aria-label="Verdict" className={`flex min-h-14 flex-wrap items-center gap-x-6 gap-y-1 py-1.5 ${live.status === "stale" ? "opacity-60 grayscale" : ""}`}>
      <h1 className="min-w-0 flex-1 basis-80 text-[20px] leading-6 font-semibold wrap-anywhere max-[640px]:text-[17px]">
        {mark && (
          <span aria-hidden="true" className={`mr-2 text-[15px] ${mark}`}>
            {isRed ? "■" : "▲"}
          </span>
        )}
        {verdict?.sentence || plain(live)}
        {live.status === "stale" && <span className="ml-2 text-[13px] font-normal text-muted">as of {live.asOf ? clock(live.asOf) : "never"}</span>}
      </h1>
      {quota && !isCalm && (
        <span className="flex gap-2">
          <Button onClick={() => onShow(key)}>Show</Button>
          {verdict && verdict.wantedSlots > 0 && (
            <Button look="main" onClick={() => onRequest(quota, verdict.wantedSlots)}>
              Request {count(verdict.wantedSlots)}
            </Button>
          )}
        </span>
      )}
    </section>
  );
}
