// What fires now, and what fired, each with the way to it.
import { useEffect, useRef } from "react";

import { type Alert, AlertKind, AlertPhase } from "../../gen/highwater/v1/alert_pb";
import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { go, useAddress } from "../../lib/address";
import { together, useAllAlerts, useFiringAlerts } from "../../lib/alert-lists";
import { ACROSS, ALERT_SLUG, ALERT_WORD, TONE_TEXT, episodeKey, episodeOf, isOfLevel, levelWords, share, toldWords, toneOf } from "../../lib/alerts";
import { useLive } from "../../lib/live";
import { idOf } from "../../lib/names";
import { useNow } from "../../lib/now";
import { nameOf, seconds, targetKey } from "../../lib/target";
import { count, duration } from "../../lib/time";
import { Button } from "../../parts/button";
import { Select } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Empty, Part, Unread } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { WeekBadge } from "../quotas/standing";
import { Act, goesOn, snoozedUntil } from "./act";
import { Episode } from "./episode";

const STATES = [
  ["", "All"],
  ["firing", "Firing"],
  ["past", "Past"],
] as const;
const KINDS = [AlertKind.APPROACHING, AlertKind.AT_LIMIT, AlertKind.OVER, AlertKind.WORKERS_SILENT, AlertKind.STORE_DEGRADED, AlertKind.AUDIT_DRIFT, AlertKind.WEBHOOKS_DISAGREE];

/** The alert's state, in a mark and a word. */
function Mark({ alert }: { alert: Alert }) {
  const tone = toneOf(alert);
  const [mark, word] = alert.phase === AlertPhase.PENDING ? ["○", `${ALERT_WORD[alert.kind]}, not for long yet`] : [tone === "red" ? "■" : tone === "amber" ? "▲" : "·", ALERT_WORD[alert.kind]];
  return (
    <span className={`inline-flex items-baseline gap-1.5 pl-1 whitespace-nowrap max-md:pl-0 ${TONE_TEXT[tone]}`}>
      <span aria-hidden="true" className="w-2.5 text-center text-[10px]">
        {mark}
      </span>
      {word}
    </span>
  );
}

/** How what was told stands, and what somebody decided. */
function Told({ alert }: { alert: Alert }) {
  const { text, isBad } = toldWords(alert);
  const until = goesOn(alert) ? snoozedUntil(alert) : undefined;
  return (
    <span>
      {until !== undefined && (
        <>
          snoozed until <When at={until} />
          {" · "}
        </>
      )}
      {alert.acknowledgedBy && <span title={alert.acknowledgedBy}>acknowledged · </span>}
      <span className={isBad ? "text-red" : "text-muted"}>{text || (alert.phase === AlertPhase.PENDING ? "nobody yet" : "nobody")}</span>
    </span>
  );
}

export function AlertList({ project }: { project: string }) {
  const { open, rest } = useAddress();
  const live = useLive(project);
  const now = useNow(1);
  const firing = useFiringAlerts(project, { isShown: true });
  const { own, rows: all } = useAllAlerts(project);
  const rows = together(firing.data ?? [], all);
  const opened = episodeOf(rows, open);
  const [state, kind, target] = [rest["state"] ?? "", rest["kind"] ?? "", rest["target"] ?? ""];
  const matches = (alert: Alert) => (!kind || ALERT_SLUG[alert.kind] === kind) && (!target || targetKey(alert.target) === target);
  const matching = rows.filter(matches);
  const going = state === "past" ? [] : matching.filter(goesOn).toSorted((a, b) => Number(b.phase === AlertPhase.FIRING) - Number(a.phase === AlertPhase.FIRING));
  const over = state === "firing" ? [] : matching.filter((alert) => !goesOn(alert));
  const fires = going.filter(({ phase }) => phase === AlertPhase.FIRING).length;
  const isFiltered = Boolean(kind || target);

  // An address may name what is on a later page.
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = own;
  const isMissing = Boolean(open) && own.isSuccess && firing.isSuccess && !opened;
  useEffect(() => {
    if (isMissing && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [isMissing, hasNextPage, isFetchingNextPage, fetchNextPage]);
  // What was linked is seen at once; what is opened here is seen already.
  const linked = useRef(open);
  const openedKey = opened && episodeKey(opened);
  useEffect(() => {
    if (!openedKey || !linked.current) return;
    linked.current = "";
    document.querySelector("[data-episode]")?.scrollIntoView({ block: "nearest" });
  }, [openedKey]);

  const names = new Map(rows.filter((alert) => alert.target).map((alert) => [targetKey(alert.target), alert.displayName]));
  if (target && !names.has(target)) names.set(target, target);
  const filter = (change: Record<string, string>) => go({ open: "", rest: { ...rest, ...change } }, { replace: true });
  const quotaOf = (alert: Alert): Quota | undefined => (alert.project === project ? live.byKey.get(targetKey(alert.target)) : undefined);
  const called = (alert: Alert) => {
    const quota = quotaOf(alert);
    const name = quota?.displayName ? nameOf(quota) : alert.displayName;
    return alert.project === ACROSS ? (alert.target ? `${name}, all projects` : "The service") : name;
  };

  const nameColumn: Column<Alert> = {
    key: "of",
    head: "Of",
    names: true,
    cell: (alert) => {
      const isOpen = opened === alert;
      return (
        <span className="inline-flex items-center gap-2">
          <button type="button" aria-expanded={isOpen} title={idOf(alert.target) || alert.name} onClick={() => go({ open: isOpen ? "" : episodeKey(alert) }, { replace: true })} className="text-left font-medium hover:underline">
            <span aria-hidden="true" className="mr-1.5 inline-block w-2.5 text-faint">
              {isOpen ? "▾" : "▸"}
            </span>
            {called(alert)}
          </button>
          {goesOn(alert) && <WeekBadge week={quotaOf(alert)?.week ?? 0} />}
        </span>
      );
    },
  };
  const stateColumn: Column<Alert> = { key: "state", head: "State", cell: (alert) => <Mark alert={alert} />, className: "md:w-[168px]" };
  const toldColumn: Column<Alert> = { key: "told", head: "Told", cell: (alert) => <Told alert={alert} /> };
  const nowColumns: Column<Alert>[] = [
    stateColumn,
    nameColumn,
    {
      key: "level",
      head: "Level",
      end: true,
      cell: (alert) => {
        const percent = share(alert, alert.level);
        return (
          <span className="whitespace-nowrap">
            <span className={TONE_TEXT[toneOf(alert)]}>{levelWords(alert, alert.level) || "–"}</span>
            {percent !== undefined && isOfLevel(alert.kind) && <span className="text-muted"> · {count(percent)} %</span>}
          </span>
        );
      },
    },
    {
      key: "since",
      head: "Since",
      cell: ({ fireTime, beginTime }) => {
        const since = seconds(fireTime ?? beginTime) ?? 0;
        return (
          <span className="whitespace-nowrap">
            <When at={since} /> <span className="text-muted">· {duration(now - since)}</span>
          </span>
        );
      },
    },
    { key: "left", head: "Left", cell: (alert) => <ToLimit alert={alert} /> },
    toldColumn,
    { key: "do", head: "", end: true, cell: (alert) => opened !== alert && <Act alert={alert} /> },
  ];
  const pastColumns: Column<Alert>[] = [
    stateColumn,
    nameColumn,
    { key: "peak", half: true, head: "Peak", end: true, cell: (alert) => <span className="whitespace-nowrap">{levelWords(alert, alert.peak) || "–"}</span> },
    { key: "began", head: "Fired", cell: ({ fireTime, beginTime }) => <When at={seconds(fireTime ?? beginTime) ?? 0} /> },
    { key: "lasted", half: true, head: "For", end: true, cell: ({ fireTime, beginTime, resolveTime }) => (resolveTime ? duration((seconds(resolveTime) ?? 0) - (seconds(fireTime ?? beginTime) ?? 0)) : "–") },
    toldColumn,
  ];
  const beneath = (alert: Alert) => opened === alert && <Episode key={episodeKey(alert)} project={project} alert={alert} name={called(alert)} quota={quotaOf(alert)} />;
  const tint = (alert: Alert) => (toneOf(alert) === "red" ? "bg-red-tint max-md:px-2" : toneOf(alert) === "amber" ? "bg-amber-tint max-md:px-2" : "");

  return (
    <>
      <div className="flex flex-wrap items-center gap-2 pt-4">
        <div role="group" aria-label="Which alerts" className="flex items-center rounded-[4px] border">
          {STATES.map(([value, text]) => (
            <button
              key={text}
              type="button"
              aria-pressed={state === value}
              onClick={() => filter({ state: value })}
              className="h-7.5 px-2.5 text-muted hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text"
            >
              {text}
            </button>
          ))}
        </div>
        <Select label="Kind" hideLabel options={[["", "All kinds"], ...KINDS.map((of): [string, string] => [ALERT_SLUG[of], ALERT_WORD[of]])]} value={kind} onChange={(event) => filter({ kind: event.currentTarget.value })} className="w-44" />
        <Select label="Of" hideLabel options={[["", "All models and pools"], ...names]} value={target} onChange={(event) => filter({ target: event.currentTarget.value })} className="w-60 max-w-full" />
        {(isFiltered || state) && (
          <Button look="quiet" onClick={() => filter({ state: "", kind: "", target: "" })}>
            Show all
          </Button>
        )}
      </div>
      {isMissing && !hasNextPage && (
        <p role="status" className="mt-3 rounded-[4px] border border-dashed px-3 py-2 text-muted">
          The alert of this address is not there: it never fired, is older than is kept, or your key does not open it.
        </p>
      )}
      {own.isError && !own.data ? (
        <div className="pt-5">
          <Unread what="Alerts" project={project} error={own.error} retry={() => void own.refetch()} />
        </div>
      ) : own.isPending || firing.isPending ? (
        <div className="pt-5">
          <SkeletonRows rows={5} />
        </div>
      ) : (
        <>
          {(own.isError || firing.isError) && (
            <div className="pt-3">
              <Failed what="The newest list" error={own.error ?? firing.error} retry={() => void (own.refetch(), firing.refetch())} />
            </div>
          )}
          {state !== "past" && (
            <Part title={fires > 0 ? `Firing now: ${count(fires)}` : "Firing now"}>
              {going.length > 0 ? (
                <Table label="Firing now" columns={nowColumns} rows={going} keyOf={episodeKey} beneath={beneath} tint={tint} />
              ) : (
                <Empty title={isFiltered ? "Nothing that matches fires now." : "Nothing fires now."}>{!isFiltered && <Watched project={project} />}</Empty>
              )}
            </Part>
          )}
          {state !== "firing" && (
            <Part title="Past">
              {over.length > 0 ? (
                <Table label="Past alerts" columns={pastColumns} rows={over} keyOf={episodeKey} beneath={beneath} />
              ) : (
                <p className="py-2 text-muted">{isFiltered ? "Nothing that matches has fired." : "Nothing has fired yet. What is over is kept for 90 days."}</p>
              )}
              {hasNextPage && (
                <Button className="mt-3" onClick={() => void fetchNextPage()} disabled={isFetchingNextPage}>
                  Show older
                </Button>
              )}
            </Part>
          )}
        </>
      )}
    </>
  );
}

/** What is watched while nothing fires. */
function Watched({ project }: { project: string }) {
  return (
    <>
      <p>Each model and pool with a limit is watched from the start: near its limit for two minutes, at it and over it at once, and workers that fall silent.</p>
      <span className="mt-3 flex flex-wrap gap-2">
        <Button onClick={() => go({ open: "", rest: { tab: "rules" } })}>See the rules</Button>
        <Button look="quiet" onClick={() => go({ project, view: "quotas", select: "", open: "", rest: {} })}>
          Open quotas
        </Button>
      </span>
    </>
  );
}

/** How much is left, and for how long at this pace. */
export function ToLimit({ alert }: { alert: Alert }) {
  if (!isOfLevel(alert.kind)) return <span className="text-muted">–</span>;
  const left = alert.limitPlusOne > 0 ? alert.limitPlusOne - 1 - alert.level : undefined;
  if (left !== undefined && left <= 0) return <span className="whitespace-nowrap text-muted">{left < 0 ? `${count(-left)} over` : "none left"}</span>;
  const time = alert.timeToLimit && Number(alert.timeToLimit.seconds);
  return (
    <span className="whitespace-nowrap text-muted">
      {left !== undefined && `${count(left)} left`}
      {time !== undefined && <span className="text-text" title="If the level goes on as in the last ten minutes">, full in {duration(time)}</span>}
    </span>
  );
}
