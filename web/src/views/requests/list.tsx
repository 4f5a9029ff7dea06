import { keepPreviousData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type IncreaseRequest, IncreaseRequest_State as State } from "../../gen/highwater/v1/request_pb";
import { useCaller } from "../../lib/caller";
import { say } from "../../lib/said";
import { requests } from "../../lib/requests";
import { words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { By } from "../../parts/by";
import { Empty, Unread } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { Decide } from "./decide";
import { Detail } from "./detail";

const READ_EVERY_MS = 15_000;

const STATE: Record<State, readonly [mark: string, word: string, colour: string]> = {
  [State.UNSPECIFIED]: ["", "", ""],
  [State.OPEN]: ["○", "open", "text-blue"],
  [State.APPROVED]: ["●", "approved", ""],
  [State.APPROVED_IN_PART]: ["◐", "approved in part", ""],
  [State.DECLINED]: ["✕", "declined", ""],
  [State.WITHDRAWN]: ["–", "withdrawn", "text-muted"],
};

interface Props {
  project: string;
  /** Those of every project, for operators. */
  all?: boolean;
  /** Open ones alone. */
  open: boolean;
  onAsk?: () => void;
}

export function RequestList({ project, all = false, open, onAsk }: Props) {
  const caller = useCaller();
  const client = useQueryClient();
  const [shown, setShown] = useState("");
  const [deciding, setDeciding] = useState<IncreaseRequest>();
  const { data, error, isPending, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ["requests", all ? "-" : project, open],
    queryFn: ({ pageParam }) => requests.listIncreaseRequests({ ...(all ? { allProjects: true } : { project }), open, pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: READ_EVERY_MS,
    placeholderData: keepPreviousData,
  });
  const rows = data?.pages.flatMap((page) => page.requests) ?? [];
  const again = () => void client.invalidateQueries({ queryKey: ["requests"] });
  const withdraw = async (request: IncreaseRequest) => {
    try {
      await requests.withdrawIncreaseRequest({ id: request.id });
      say(`Withdrawn: ${count(request.wantedSlots)} of ${request.displayName}.`);
    } catch (problem) {
      say(`It was not withdrawn. ${words(problem)}`);
    }
    again();
  };
  /** Who asked takes back; so does who may decide. */
  const mayWithdraw = (request: IncreaseRequest) => caller !== undefined && (caller.edits || request.createdBy === caller.keyId);

  if (isError && !data) return <Unread what="Requests" project={project} error={error} retry={() => void refetch()} />;
  if (isPending) return <SkeletonRows rows={4} />;
  if (rows.length === 0) {
    return (
      <Empty title={open ? "No request is open." : "Nothing was ever asked for."}>
        <p>Ask from here, from a model's row, or by dragging its limit on the chart. What the last seven days say goes along by itself.</p>
        {onAsk && (
          <Button className="mt-3" onClick={onAsk}>
            Request more
          </Button>
        )}
      </Empty>
    );
  }
  const columns: Column<IncreaseRequest>[] = [
    { key: "state", half: true, head: "State", cell: ({ state }) => <Mark state={state} /> },
    ...(all ? [{ key: "project", head: "Project", cell: (request: IncreaseRequest) => request.project }] : []),
    {
      key: "model",
      head: "For",
      names: true,
      cell: (request) => (
        <button type="button" aria-expanded={shown === request.id} onClick={() => setShown(shown === request.id ? "" : request.id)} className="text-left hover:underline">
          <span aria-hidden="true" className="mr-1.5 inline-block w-2.5 text-faint">
            {shown === request.id ? "▾" : "▸"}
          </span>
          {request.displayName}
        </button>
      ),
    },
    { key: "wanted", half: true, head: "Wanted", end: true, cell: (request) => <Wanted request={request} /> },
    { key: "reason", head: "Why", cell: ({ reason }) => <span className="line-clamp-2 max-w-[48ch] text-left">{reason}</span> },
    { key: "by", head: "By", cell: ({ createdBy, createdByName }) => <By id={createdBy} name={createdByName} /> },
    { key: "when", head: "Asked", cell: ({ createTime }) => <When at={seconds(createTime) ?? 0} /> },
    {
      key: "do",
      head: "",
      end: true,
      cell: (request) =>
        request.state === State.OPEN && (
          <span className="inline-flex gap-1">
            {caller?.operates && (
              <Button aria-label={`Decide on ${request.displayName}`} onClick={() => setDeciding(request)}>
                Decide
              </Button>
            )}
            {mayWithdraw(request) && (
              <Button look="quiet" aria-label={`Withdraw ${request.displayName}`} onClick={() => void withdraw(request)}>
                Withdraw
              </Button>
            )}
          </span>
        ),
    },
  ];
  return (
    <>
      <Table
        label="Requests"
        columns={columns}
        rows={rows}
        keyOf={({ id }) => id}
        beneath={(request) => shown === request.id && <Detail request={request} />}
      />
      {hasNextPage && (
        <Button className="mt-3" onClick={() => void fetchNextPage()} disabled={isFetchingNextPage}>
          Show older
        </Button>
      )}
      {deciding && <Decide request={deciding} onClose={() => setDeciding(undefined)} onDone={again} />}
    </>
  );
}

export function Mark({ state }: { state: State }) {
  const [mark, word, colour] = STATE[state];
  return (
    <span className={`whitespace-nowrap ${colour}`}>
      <span aria-hidden="true">{mark}</span> {word}
    </span>
  );
}

/** "20 → 26", and what was granted instead. */
function Wanted({ request }: { request: IncreaseRequest }) {
  const limit = request.evidence?.limitPlusOne;
  const granted = request.decision?.slots ?? 0;
  return (
    <span className="whitespace-nowrap">
      {limit ? `${count(limit - 1)} → ` : ""}
      {request.state === State.APPROVED_IN_PART ? (
        <>
          <s className="text-muted">{count(request.wantedSlots)}</s> {count(granted)}
        </>
      ) : (
        count(granted || request.wantedSlots)
      )}
    </span>
  );
}
