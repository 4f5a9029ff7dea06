// A row opened in place: which kind of peaks, when, how long at each level, how long sessions last, who holds slots now, and
// what was changed.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode } from "react";

import { type GetDistributionResponse, type HeatCell, type Quota } from "../../gen/highwater/v1/quota_pb";
import { IncreaseRequest_State } from "../../gen/highwater/v1/request_pb";
import { Condition, Week } from "../../gen/highwater/v1/types_pb";
import { go } from "../../lib/address";
import { boundWhy, signOf } from "../../lib/bound";
import { limitWords } from "../../lib/limits";
import { timeAtEach } from "../../lib/series";
import { requests } from "../../lib/requests";
import { limits, quotas } from "../../lib/service";
import { heldAndTurned, nameOf, seconds, targetKey, turnedAway } from "../../lib/target";
import { ZONE, count, duration, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { By } from "../../parts/by";
import { Failed } from "../../parts/failed";
import { Peak } from "../../parts/peak";
import { Skeleton } from "../../parts/skeleton";
import { When } from "../../parts/when";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/** Until the service says it in a sentence of its own. */
const WEEK_SENTENCE: Record<Week, string> = {
  [Week.UNSPECIFIED]: "Nothing is known of the last seven days.",
  [Week.CALM]: "No minute of the last seven days came near its limit.",
  [Week.ONE_OFF]: "One-off: all minutes near its limit lie within an hour.",
  [Week.REPEATING]: "A pattern: near its limit at the same hour on three days or more.",
  [Week.CONSTANT]: "Constantly close: a tenth of the week or more near its limit.",
  [Week.SCATTERED]: "Near its limit now and then, in no pattern.",
};
const REQUEST_WORD: Record<IncreaseRequest_State, string> = {
  [IncreaseRequest_State.UNSPECIFIED]: "",
  [IncreaseRequest_State.OPEN]: "open",
  [IncreaseRequest_State.APPROVED]: "approved",
  [IncreaseRequest_State.APPROVED_IN_PART]: "approved in part",
  [IncreaseRequest_State.DECLINED]: "declined",
  [IncreaseRequest_State.WITHDRAWN]: "withdrawn",
};
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

interface Props {
  project: string;
  quota: Quota;
  onRequest: () => void;
  onSetLimit: () => void;
  edits: boolean;
}

export default function Detail({ project, quota, onRequest, onSetLimit, edits }: Props) {
  const { target } = quota;
  const key = targetKey(target);
  const of = { project, ...(target && { target }) };
  const heat = useQuery({ queryKey: ["heat", project, key], queryFn: () => quotas.getHeatMap({ ...of, timeZone: ZONE }), staleTime: 60_000 });
  const levels = useQuery({ queryKey: ["levels", project, key], queryFn: () => quotas.getDistribution(of), staleTime: 60_000 });
  const holders = useQuery({
    queryKey: ["holders", project, key],
    queryFn: () => quotas.listSessions({ ...of, pageSize: 8, silentFirst: true }),
    refetchInterval: 5_000,
  });
  const changes = useQuery({ queryKey: ["limits", project, key], queryFn: () => limits.listLimits({ ...of, history: true, pageSize: 20 }) });
  const asked = useQuery({ queryKey: ["requests", project, key], queryFn: () => requests.listIncreaseRequests({ ...of, pageSize: 5 }), retry: false });
  const refused = turnedAway(quota);
  const [lost, down] = [Number(quota.closed?.lost ?? 0n), Number(quota.closed?.unavailable ?? 0n)];
  return (
    <section aria-label={`Detail of ${nameOf(quota)}`} className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-6 bg-raised px-4 py-5 min-[1000px]:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
      <div className="flex flex-wrap items-center gap-3 min-[1000px]:col-span-2">
        <p className="mr-auto min-w-0 flex-1 basis-72">
          {heat.data?.sentence || (quota.limit ? WEEK_SENTENCE[quota.week] : "It has no limit, so that nothing can be near it.")}
          {refused > 0 && ` ${signOf(quota.peakBound) ? "At its peak" : "At most"} ${heldAndTurned(quota)} in the last seven days.`}
          {quota.peak && signOf(quota.peakBound) && (
            <>
              {" "}
              Its peak is <Peak level={quota.peak.level} bound={quota.peakBound} />: {boundWhy(quota.peakBound)}.
            </>
          )}
          {lost > 0 && ` ${count(lost)} ${lost === 1 ? "was" : "were"} lost with ${lost === 1 ? "its" : "their"} worker.`}
          {down > 0 && ` ${count(down)} ended because the provider was down.`}
          {quota.condition === Condition.DOWN && <span className="text-red"> Its provider is down, by what this project’s sessions met: chains use another model.</span>}
          {quota.condition === Condition.PROBING && <span className="text-amber"> Its provider was down, and a few sessions try it again.</span>}
          {quota.learnedCeiling !== undefined && (
            <span className="text-amber">
              {" "}
              Its provider seems to allow {count(quota.learnedCeiling)}
              {quota.learnedFrom && `: ${quota.learnedFrom}`}.
            </span>
          )}
        </p>
        <Button look="quiet" onClick={() => go({ view: "alerts", select: "", open: "", filter: "", rest: { target: key } })}>
          Its alerts
        </Button>
        {edits && <Button onClick={onSetLimit}>{quota.limit ? "Change limit" : "Set a limit"}</Button>}
        <Button look="main" onClick={onRequest}>
          Request more
        </Button>
      </div>
      <Part title="Peak by hour of the week" note={ZONE} query={heat} height="h-[196px]">
        {heat.data && <HeatMap cells={heat.data.cells} hasLimit={quota.limit !== undefined} />}
      </Part>
      <Part title="Time at each level" query={levels} height="h-[196px]">
        {levels.data && <Levels of={levels.data} limit={quota.limit?.slots} />}
      </Part>
      <Part title="Who holds slots now" query={holders} height="h-[140px]">
        {holders.data &&
          (holders.data.sessions.length === 0 ? (
            <p className="text-muted">Nobody.</p>
          ) : (
            <>
              <table aria-label="Holders" className="w-full table-fixed">
                <tbody>
                  {holders.data.sessions.map((session) => (
                    <tr key={`${session.incarnation}${session.id}`} className="h-7 border-b">
                      <td title={session.workerId} className="truncate pr-3">
                        {session.workerId}
                      </td>
                      <td className="truncate pr-3 text-muted">{session.labels?.room || session.labels?.job || session.id.slice(0, 8)}</td>
                      <td className="w-[124px] text-right whitespace-nowrap">
                        {session.silent && <span className="text-amber">silent </span>}
                        {duration(Number(session.age?.seconds ?? 0n))}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              <Button look="quiet" className="mt-1" onClick={() => go({ view: "sessions", rest: { target: key } })}>
                All {count(holders.data.totalSize)}
              </Button>
            </>
          ))}
      </Part>
      <div className="grid grid-cols-[minmax(0,1fr)] content-start gap-4">
        <Part title="Changes of the limit" query={changes} height="h-[100px]">
          {changes.data &&
            (changes.data.limits.length === 0 ? (
              <p className="text-muted">No limit was ever set.</p>
            ) : (
              <ol className="grid gap-1">
                {changes.data.limits.slice(0, 6).map((limit, nth) => (
                  <li key={nth} className="flex gap-3">
                    <span className="min-w-14 shrink-0 text-right font-medium">{limitWords(limit)}</span>
                    <span className="min-w-0 truncate text-muted" title={`${limit.setByName || limit.setBy}: ${limit.reason}`}>
                      <When at={seconds(limit.startTime) ?? 0} /> by <By id={limit.setBy} name={limit.setByName} />
                      {limit.reason && `: ${limit.reason}`}
                      {limit.endTime && (
                        <>
                          , until <When at={seconds(limit.endTime) ?? 0} />
                        </>
                      )}
                    </span>
                  </li>
                ))}
              </ol>
            ))}
        </Part>
        <Part title="Requests" query={asked} height="h-[28px]">
          {asked.data &&
            (asked.data.requests.length === 0 ? (
              <p className="text-muted">Nobody asked for more.</p>
            ) : (
              <ol className="grid gap-1">
                {asked.data.requests.map((request) => (
                  <li key={request.id} className="flex gap-3">
                    <span className="w-14 shrink-0 text-right font-medium">{count(request.wantedSlots)}</span>
                    <span className="min-w-0 truncate text-muted" title={request.reason}>
                      <When at={seconds(request.createTime) ?? 0} /> · {REQUEST_WORD[request.state]} · {request.reason}
                    </span>
                  </li>
                ))}
              </ol>
            ))}
        </Part>
      </div>
    </section>
  );
}

function Part(of: {
  title: string;
  note?: string;
  query: { isPending: boolean; isError: boolean; error: unknown; refetch: () => unknown };
  height: string;
  children: ReactNode;
}) {
  return (
    <div>
      <h3 className="mb-2 font-medium">
        {of.title} {of.note && <span className="font-normal text-muted">· {of.note}</span>}
      </h3>
      {of.query.isPending ? (
        <Skeleton className={`${of.height} w-full`} />
      ) : of.query.isError ? (
        <Failed what={of.title} error={of.query.error} retry={() => void of.query.refetch()} />
      ) : (
        of.children
      )}
    </div>
  );
}

/** An hour of each weekday a cell: how dark is how near the limit, or the week's highest where there is none. */
function HeatMap({ cells, hasLimit }: { cells: HeatCell[]; hasLimit: boolean }) {
  const most = Math.max(...cells.map((cell) => cell.peak), 1);
  return (
    <table aria-label="Peak by hour of the week" className="w-full table-fixed border-separate border-spacing-[2px]">
      <thead>
        <tr>
          <td className="w-9" />
          {HOURS.map((hour) => (
            <th key={hour} scope="col" className="text-left text-[10px] font-normal text-muted">
              <span className={hour % 3 ? "sr-only" : ""}>{hour}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {DAYS.map((day, row) => (
          <tr key={day}>
            <th scope="row" className="text-left text-[11px] leading-5 font-normal text-muted">
              {day}
            </th>
            {HOURS.map((hour) => {
              const cell = cells[row * 24 + hour];
              const isKnown = cell !== undefined && cell.minutesCovered > 0;
              const share = cell ? (hasLimit ? cell.permilleOfLimit / 1_000 : cell.peak / most) : 0;
              const said = isKnown
                ? `${day} ${hour}:00: peak ${count(cell.peak)}${hasLimit ? `, ${count(Math.round(share * 100))} % of the limit` : ""}${cell.minutesNearLimit ? `, ${count(cell.minutesNearLimit)} min at or above 90 %` : ""}`
                : `${day} ${hour}:00: no data`;
              const tone = hasLimit && share >= 1 ? "bg-red" : hasLimit && share >= 0.8 ? "bg-amber" : "bg-fill";
              return (
                <td key={hour} title={said} className={`relative h-5 p-0 ${isKnown ? "bg-ground" : "hatch"}`}>
                  <span className="sr-only">{said}</span>
                  {isKnown && share > 0 && (
                    <span
                      aria-hidden="true"
                      ref={(element) => void (element && (element.style.opacity = String(Math.max(0.12, Math.min(share, 1)))))}
                      className={`absolute inset-0 ${tone}`}
                    />
                  )}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How long each level was held, and how long sessions lasted. */
function Levels({ of, limit }: { of: GetDistributionResponse; limit: number | undefined }) {
  const covered = Number(of.coveredSeconds);
  if (covered === 0) return <p className="text-muted">No data yet.</p>;
  const bars = timeAtEach(of.timeAt.map(({ level, seconds: long }) => ({ level, seconds: Number(long) })), covered);
  const width = 100 / Math.max(bars.length, 1);
  const most = Math.max(...bars.map((bar) => bar.seconds), 1);
  return (
    <>
      <svg role="img" aria-label="Time at each level" viewBox="0 0 100 60" preserveAspectRatio="none" className="h-[120px] w-full border-b">
        {bars.map(({ level, to, seconds: long, above }, nth) => {
          const height = long > 0 ? Math.max((long / most) * 58, 0.8) : 0;
          const tone = limit !== undefined && level >= limit ? "fill-red" : limit !== undefined && level * 10 >= limit * 9 ? "fill-amber" : "fill-fill";
          return (
            <rect key={level} x={nth * width} y={60 - height} width={Math.max(width - 0.4, 0.3)} height={height} className={tone}>
              <title>{`${to > level ? `${count(level)} to ${count(to)}` : count(level)}: ${duration(long)}; at or above it ${duration(above)}`}</title>
            </rect>
          );
        })}
      </svg>
      <div className="flex justify-between text-[11px] text-muted" aria-hidden="true">
        <span>{count(bars[0]?.level ?? 0)}</span>
        <span>level</span>
        <span>{count(bars.at(-1)?.to ?? 0)}</span>
      </div>
      <p className="mt-2 text-muted">Enough for a share of the time</p>
      <dl className="flex flex-wrap gap-x-5">
        {of.levels.map(({ percentile, level }) => (
          <div key={percentile} className="flex gap-1.5">
            <dt className="text-muted">{percentile} %</dt>
            <dd className="font-medium">{count(level)}</dd>
          </div>
        ))}
      </dl>
      <p className="mt-1 text-muted">How long {many(of.endedSessions, "session")} lasted, at most</p>
      <dl className="flex flex-wrap gap-x-5">
        {of.durations.map(({ percentile, duration: long }) => (
          <div key={percentile} className="flex gap-1.5">
            <dt className="text-muted">{percentile} %</dt>
            <dd className="font-medium">{duration(Number(long?.seconds ?? 0n) + (long?.nanos ?? 0) / 1e9)}</dd>
          </div>
        ))}
        {of.longest && (
          <div className="flex gap-1.5">
            <dt className="text-muted">longest</dt>
            <dd className="font-medium">{duration(Number(of.longest.seconds))}</dd>
          </div>
        )}
      </dl>
    </>
  );
}
