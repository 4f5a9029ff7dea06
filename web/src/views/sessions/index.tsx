import { create } from "@bufbuild/protobuf";
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";

import { type Session } from "../../gen/highwater/v1/quota_pb";
import { type Kind, TargetSchema } from "../../gen/highwater/v1/types_pb";
import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { useLive } from "../../lib/live";
import { idOf, useNames } from "../../lib/names";
import { useNow } from "../../lib/now";
import { quotas } from "../../lib/service";
import { MODEL_KINDS, isPool, kindOf, seconds, targetKey, targetOf } from "../../lib/target";
import { count, duration, full, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { Select } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Empty, Head, Unread } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { Release } from "./release";

const PAGE = 200;
const READ_EVERY_MS = 3_000;

const meterOf = (session: Session) => create(TargetSchema, session.meter ? { target: { case: "meter", value: session.meter } } : {});
const isModelKind = (kind: Kind) => MODEL_KINDS.some((one) => one === kind);
const sessionKey = (session: Session) => `${session.incarnation}/${session.id}`;

/** The slot ledger: who holds each slot now, those of silent workers first. */
export default function Sessions({ project }: { project: string }) {
  const { rest } = useAddress();
  const key = rest["target"] ?? "";
  const worker = rest["worker"] ?? "";
  const target = targetOf(key);
  const caller = useCaller();
  const live = useLive(project);
  const nameOf = useNames(project);
  const client = useQueryClient();
  const now = useNow();
  const [releasing, setReleasing] = useState<Session>();
  const status = useQuery({ queryKey: ["status"], queryFn: () => quotas.getStatus({}) });
  const { data, error, isPending, isError, isPlaceholderData, dataUpdatedAt, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ["sessions", project, key, worker],
    queryFn: ({ pageParam }) =>
      quotas.listSessions({ project, ...(target && { target }), workerId: worker, pageSize: PAGE, pageToken: pageParam, silentFirst: true }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: READ_EVERY_MS,
    placeholderData: keepPreviousData,
  });
  const rows = data?.pages.flatMap(({ sessions }) => sessions) ?? [];
  const total = data?.pages[0]?.totalSize ?? 0;
  const silent = rows.filter((session) => session.silent).length;
  const settling = live.settling || (status.data?.settling ?? false);

  const filter = (change: Record<string, string>) => go({ rest: { ...rest, ...change } });
  const columns: Column<Session>[] = [
    { key: "state", half: true, head: "State", cell: (session) => <State silent={session.silent} settling={settling} /> },
    {
      key: "model",
      head: "Holds a slot of",
      names: true,
      cell: (session) => (
        <button
          type="button"
          title={`${idOf(meterOf(session))}: show only these`}
          onClick={() => filter({ target: targetKey(meterOf(session)) })}
          className="text-left hover:underline"
        >
          {nameOf(meterOf(session))}
        </button>
      ),
    },
    { key: "room", head: "Room", cell: (session) => <Text>{session.labels?.room}</Text> },
    { key: "job", head: "Job", cell: (session) => <Text>{session.labels?.job}</Text> },
    {
      key: "worker",
      head: "Worker",
      cell: (session) => (
        <button type="button" title="Show only this worker's" onClick={() => filter({ worker: session.workerId })} className="text-left hover:underline">
          {session.workerId}
        </button>
      ),
    },
    { key: "since", half: true, head: "Since", cell: (session) => <Since at={seconds(session.since)} /> },
    {
      key: "age",
      half: true,
      head: "Age",
      end: true,
      cell: (session) => duration(Number(session.age?.seconds ?? 0n) + Math.max(0, now - dataUpdatedAt / 1_000)),
    },
    { key: "beat", half: true, head: "Last beat", end: true, cell: (session) => <Beat at={seconds(session.lastBeat)} now={now} silent={session.silent} /> },
    ...(caller?.edits
      ? [
          {
            key: "do",
            head: "",
            end: true,
            cell: (session: Session) => (
              <Button look="quiet" aria-label={`Release ${nameOf(meterOf(session))}, held by ${session.workerId}`} onClick={() => setReleasing(session)}>
                Release
              </Button>
            ),
          },
        ]
      : []),
  ];

  return (
    <>
      <Head
        title="Sessions"
        lead={
          data
            ? `${many(total, "slot is", "slots are")} held now${key || worker ? " that match" : ""}${silent ? `, ${count(silent)} of them by silent workers` : ""}.`
            : "Who holds each slot now."
        }
      >
        <Filter key={`${key} ${worker}`} target={key} worker={worker} targets={[...live.byKey.values()].filter(({ target }) => isPool(target) || isModelKind(kindOf(target))).map((quota) => [targetKey(quota.target), nameOf(quota.target)])} />
      </Head>
      {settling && (
        <p role="status" className="mb-3 rounded-[4px] bg-amber-tint px-3 py-2 text-amber">
          Settling after a restart: workers are being asked what they hold. Until they have answered, there may be more sessions than are listed.
        </p>
      )}
      {isError && !data ? (
        <Unread what="Sessions" project={project} error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <SkeletonRows rows={8} />
      ) : rows.length === 0 ? (
        key || worker ? (
          <Empty title="No session matches.">
            <Button className="mt-2" onClick={() => filter({ target: "", worker: "" })}>
              Show all
            </Button>
          </Empty>
        ) : (
          <Empty title="Nobody holds a slot now.">A session is listed from the moment that its worker reports it until it ends.</Empty>
        )
      ) : (
        <div className={isPlaceholderData ? "opacity-60" : ""}>
          {isError && <Failed what="The newest list" error={error} retry={() => void refetch()} />}
          <Table label="Sessions" columns={columns} rows={rows} keyOf={sessionKey} tint={(session) => (session.silent ? "bg-amber-tint" : "")} />
          {hasNextPage && (
            <div className="flex items-center gap-3 pt-3 text-muted">
              <Button onClick={() => void fetchNextPage()} disabled={isFetchingNextPage}>
                Show {count(Math.min(PAGE, total - rows.length))} more
              </Button>
              {count(rows.length)} of {count(total)}
            </div>
          )}
        </div>
      )}
      {releasing && (
        <Release
          project={project}
          session={releasing}
          name={nameOf(meterOf(releasing))}
          onClose={() => setReleasing(undefined)}
          onDone={() => void client.invalidateQueries({ queryKey: ["sessions", project] })}
        />
      )}
    </>
  );
}

function Filter({ target, worker, targets }: { target: string; worker: string; targets: [string, string][] }) {
  const { rest } = useAddress();
  const options: [string, string][] = [["", "All models and connections"], ...targets];
  if (target && !targets.some(([key]) => key === target)) options.push([target, target]);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    go({ rest: { ...rest, worker: String(new FormData(event.currentTarget).get("worker") ?? "").trim() } });
  };
  return (
    <form role="search" aria-label="Filter sessions" onSubmit={submit} className="flex flex-wrap items-center gap-2">
      <Select label="Held of" hideLabel options={options} value={target} onChange={(event) => go({ rest: { ...rest, target: event.currentTarget.value } })} className="w-60" />
      <input
        type="search"
        name="worker"
        aria-label="Worker"
        placeholder="Worker, exactly"
        defaultValue={worker}
        onBlur={(event) => event.currentTarget.form?.requestSubmit()}
        className="h-8 w-44 rounded-[4px] border bg-ground px-2"
      />
      {(target || worker) && (
        <Button look="quiet" onClick={() => go({ rest: { ...rest, target: "", worker: "" } })}>
          Show all
        </Button>
      )}
    </form>
  );
}

function State({ silent, settling }: { silent: boolean; settling: boolean }) {
  if (silent) return <span title="Its worker is silent or cut off: the session is lost when the lease ends" className="text-amber">◌ silent</span>;
  if (settling) return <span title="The service has restarted and learns what is held" className="text-amber">◌ settling</span>;
  return <span className="text-muted">● held</span>;
}

const Text = ({ children }: { children: string | undefined }) => (children ? <>{children}</> : <span className="text-muted">–</span>);
const Since = ({ at }: { at: number | undefined }) => (at === undefined ? <Text>{undefined}</Text> : <When at={at} />);

function Beat({ at, now, silent }: { at: number | undefined; now: number; silent: boolean }) {
  if (at === undefined) return <Text>{undefined}</Text>;
  return (
    <span title={full(at)} className={silent ? "text-amber" : "text-muted"}>
      {duration(now - at)} ago
    </span>
  );
}
