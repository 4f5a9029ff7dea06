// One episode of an alert: what can be done about it, what happened, who was told, and who holds the slots.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode } from "react";

import { type Alert, type AlertDelivery, AlertDelivery_State as State, AlertPhase } from "../../gen/highwater/v1/alert_pb";
import { type Quota, type Session } from "../../gen/highwater/v1/quota_pb";
import { go } from "../../lib/address";
import { ACROSS, DELIVERY_WORD, NOTICE_WORD, SEVERITY_WORD, beyondListed, episodeKey, eventTone, isOfLevel, levelWords, toldWords } from "../../lib/alerts";
import { requests } from "../../lib/requests";
import { quotas } from "../../lib/service";
import { WEEK_WORD, seconds, targetKey } from "../../lib/target";
import { count, duration, full, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { Copy } from "../../parts/copy";
import { Failed } from "../../parts/failed";
import { Skeleton } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { Act, goesOn, snoozedUntil } from "./act";

const MOST_HOLDERS = 6;
const MOST_SESSIONS = 1_000;

interface Props {
  project: string;
  alert: Alert;
  name: string;
  quota: Quota | undefined;
}

export function Episode({ project, alert, name, quota }: Props) {
  const key = targetKey(alert.target);
  const isOwn = alert.project === project;
  const linkOf = `${location.origin}/p/${encodeURIComponent(project)}/alerts?open=${episodeKey(alert)}`;
  return (
    <section aria-label={`Alert of ${name}`} data-episode={episodeKey(alert)} className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-5 border-t bg-raised px-4 py-4 min-[1000px]:grid-cols-[minmax(0,1fr)_minmax(0,1.4fr)]">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2 min-[1000px]:col-span-2">
        <p className="mr-auto min-w-0 flex-1 basis-72">
          <Sentence alert={alert} quota={quota} />
        </p>
        <Act alert={alert} isWide />
        {key && isOwn && (
          <a
            className="inline-flex h-7 items-center text-blue hover:underline"
            href={`/p/${encodeURIComponent(project)}/quotas?select=${encodeURIComponent(key)}`}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              go({ view: "quotas", select: key, open: "", filter: "", rest: {} });
            }}
          >
            Show its row
          </a>
        )}
        {alert.project === ACROSS && (
          <Button look="quiet" onClick={() => go({ view: "operator", select: "", open: "", rest: {} })}>
            Open operator
          </Button>
        )}
        <Copy text={linkOf} label="Copy the link to this alert">
          Copy link
        </Copy>
      </div>
      <Block title="What happened">
        <Timeline alert={alert} />
      </Block>
      <Block title="Who was told">
        <Deliveries of={alert} />
      </Block>
      {goesOn(alert) && isOwn && alert.target && isOfLevel(alert.kind) && <Holders project={project} alert={alert} />}
      {isOwn && alert.target && isOfLevel(alert.kind) && <Asked project={project} alert={alert} />}
    </section>
  );
}

function Block({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <h3 className="mb-1.5 font-medium">{title}</h3>
      {children}
    </div>
  );
}

/** What it comes to, in a sentence. */
function Sentence({ alert, quota }: { alert: Alert; quota: Quota | undefined }) {
  const severity = SEVERITY_WORD[alert.severity];
  const peak = levelWords(alert, alert.peak);
  const week = quota && goesOn(alert) ? WEEK_WORD[quota.week] : "";
  const until = snoozedUntil(alert);
  return (
    <>
      {alert.phase === AlertPhase.PENDING
        ? "Above a threshold, and not for as long as its rule asks: nobody is told yet."
        : alert.phase === AlertPhase.FIRING
          ? `Fires, ${severity}${peak ? `; at most ${peak}` : ""}.`
          : `Over. It was ${severity}${peak ? `, at most ${peak}` : ""}.`}
      {week && ` Its week: ${week}.`}
      {goesOn(alert) && alert.acknowledgedBy && (
        <>
          {" "}
          Acknowledged by {alert.acknowledgedBy}, <When at={seconds(alert.acknowledgeTime) ?? 0} />.
        </>
      )}
      {goesOn(alert) && until !== undefined && (
        <>
          {" "}
          Nothing is told of it until <When at={until} />.
        </>
      )}
    </>
  );
}

const EVENT_MARK = { fired: "▲", eased: "▽", other: "·" } as const;

function Timeline({ alert }: { alert: Alert }) {
  const began = seconds(alert.beginTime) ?? 0;
  const told = alert.events.filter(({ text }) => !text.startsWith("told:"));
  return (
    <ol aria-label="Timeline" className="grid gap-y-0.5">
      <Moment at={began} mark="·" text="began" began={began} />
      {told.map(({ time, text }, nth) => {
        const tone = eventTone(text);
        return <Moment key={nth} at={seconds(time) ?? 0} mark={EVENT_MARK[tone]} text={text} began={began} isStrong={tone === "fired"} />;
      })}
    </ol>
  );
}

function Moment({ at, mark, text, began, isStrong = false }: { at: number; mark: string; text: string; began: number; isStrong?: boolean }) {
  return (
    <li className="grid grid-cols-[76px_14px_minmax(0,1fr)_auto] items-baseline gap-x-1.5">
      <span className="text-muted">
        <When at={at} />
      </span>
      <span aria-hidden="true" className="text-center text-[10px] text-muted">
        {mark}
      </span>
      <span className={`wrap-anywhere ${isStrong ? "font-medium" : ""}`}>{text}</span>
      <span title={full(at)} className="text-muted">
        {at > began ? `+${duration(at - began)}` : ""}
      </span>
    </li>
  );
}

const DELIVERY_MARK: Record<State, string> = {
  [State.UNSPECIFIED]: "",
  [State.QUEUED]: "○",
  [State.SENDING]: "◐",
  [State.RETRYING]: "↻",
  [State.SENT]: "●",
  [State.UNDELIVERABLE]: "✕",
  [State.SUPERSEDED]: "–",
};

const DELIVERIES: Column<AlertDelivery>[] = [
  { key: "to", head: "To", names: true, className: "md:min-w-24", cell: ({ recipient, address }) => address || recipient },
  { key: "what", head: "What", cell: ({ notice }) => <span className="whitespace-nowrap">{NOTICE_WORD[notice]}</span> },
  {
    key: "state",
    head: "State",
    cell: ({ state }) => (
      <span className={`whitespace-nowrap ${state === State.UNDELIVERABLE ? "font-medium text-red" : state === State.RETRYING ? "text-amber" : state === State.SUPERSEDED ? "text-muted" : ""}`}>
        <span aria-hidden="true">{DELIVERY_MARK[state]}</span> {DELIVERY_WORD[state]}
      </span>
    ),
  },
  {
    key: "when",
    head: "When",
    cell: ({ state, stateTime }) => (
      <span className="whitespace-nowrap">
        {state === State.RETRYING || state === State.QUEUED ? <span className="text-muted">next try </span> : ""}
        <When at={seconds(stateTime) ?? 0} />
      </span>
    ),
  },
  { key: "tries", head: "Tries", end: true, cell: ({ attempts }) => count(attempts) },
  { key: "words", head: "What the server said", cell: ({ words }) => <span className={words ? "font-mono text-[12px]" : "text-muted"}>{words || "–"}</span> },
];

function Deliveries({ of }: { of: Alert }) {
  const beyond = beyondListed(of);
  if (of.deliveries.length === 0) return <p className="text-muted">Nobody, in the last seven days: there was nothing to tell, or nobody who is told of it.</p>;
  const rows = of.deliveries.map((delivery, nth) => ({ ...delivery, nth }));
  return (
    <>
      <Table label="Deliveries" columns={DELIVERIES} rows={rows} keyOf={(row) => String((row as { nth?: number }).nth ?? "")} tint={({ state }) => (state === State.UNDELIVERABLE ? "bg-red-tint max-md:px-2" : "")} />
      {beyond > 0 && (
        <p className="mt-1.5 text-muted">
          And {count(beyond)} more: {toldWords(of).text} in all.
        </p>
      )}
    </>
  );
}

/** Who holds the most, as mails tell it. */
const most = (sessions: Session[], of: (session: Session) => string): [string, number][] => {
  const counted = new Map<string, number>();
  for (const session of sessions) counted.set(of(session), (counted.get(of(session)) ?? 0) + 1);
  return [...counted].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
};

function Holders({ project, alert }: { project: string; alert: Alert }) {
  const { target } = alert;
  const { data, isPending, isError, error, refetch } = useQuery({
    queryKey: ["holders", project, targetKey(target), "alert"],
    queryFn: () => quotas.listSessions({ project, ...(target && { target }), pageSize: MOST_SESSIONS }),
    refetchInterval: 5_000,
  });
  return (
    <Block title="Who holds the slots now">
      {isPending ? (
        <Skeleton className="h-16 w-full" />
      ) : isError ? (
        <Failed what="Who holds them" error={error} retry={() => void refetch()} />
      ) : data.sessions.length === 0 ? (
        <p className="text-muted">Nobody.</p>
      ) : (
        <>
          <dl aria-label="Holders">
            {most(data.sessions, ({ workerId }) => workerId)
              .slice(0, MOST_HOLDERS)
              .map(([worker, slots]) => (
                <div key={worker} className="flex justify-between gap-4 border-b py-0.5">
                  <dt className="truncate">{worker}</dt>
                  <dd>{count(slots)}</dd>
                </div>
              ))}
          </dl>
          <Button look="quiet" className="mt-1" onClick={() => go({ view: "sessions", select: "", open: "", rest: { target: targetKey(target) } })}>
            Show {many(data.totalSize, "session")}
          </Button>
        </>
      )}
    </Block>
  );
}

/** Whether more was asked for already, and the way to ask. */
function Asked({ project, alert }: { project: string; alert: Alert }) {
  const { target } = alert;
  const key = targetKey(target);
  const { data } = useQuery({ queryKey: ["requests", project, key], queryFn: () => requests.listIncreaseRequests({ project, ...(target && { target }), open: true, pageSize: 1 }), retry: false });
  const open = data?.requests[0];
  return (
    <Block title="More of it">
      <p className="text-muted">
        {open ? `${count(open.wantedSlots)} asked for; an operator has not decided yet.` : "Nothing is asked for now."}
      </p>
      <Button className="mt-1.5" onClick={() => go({ view: "requests", select: open ? "" : key, open: "", rest: {} })}>
        {open ? "Open requests" : "Request more"}
      </Button>
    </Block>
  );
}
