import { useInfiniteQuery } from "@tanstack/react-query";

import { type ProviderPool } from "../../gen/highwater/v1/admin_pb";
import { Risk } from "../../gen/highwater/v1/types_pb";
import { idOf } from "../../lib/names";
import { admin } from "../../lib/service";
import { KIND_NAME, RISK_WORD, kindOf, seconds, targetKey } from "../../lib/target";
import { count, moment } from "../../lib/time";
import { Button } from "../../parts/button";
import { Failed } from "../../parts/failed";
import { Empty } from "../../parts/page";
import { Peak } from "../../parts/peak";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";

const READ_EVERY_MS = 10_000;

const COLOUR: Partial<Record<Risk, string>> = { [Risk.APPROACHING]: "text-amber", [Risk.AT_LIMIT]: "text-red", [Risk.OVER]: "text-red" };
const MARK: Partial<Record<Risk, string>> = { [Risk.APPROACHING]: "◐", [Risk.AT_LIMIT]: "●", [Risk.OVER]: "▲", [Risk.UNKNOWN]: "?" };

const contractOf = ({ contractPlusOne }: ProviderPool): number | undefined => (contractPlusOne > 0 ? contractPlusOne - 1 : undefined);
const none = <span className="text-muted">–</span>;

const COLUMNS: Column<ProviderPool>[] = [
  {
    key: "state",
    head: "Status",
    cell: ({ risk }) => (
      <span className={`whitespace-nowrap ${COLOUR[risk] ?? "text-muted"}`}>
        <span aria-hidden="true">{MARK[risk] ?? "·"}</span> {risk === Risk.UNSPECIFIED ? "no contract" : RISK_WORD[risk]}
      </span>
    ),
  },
  { key: "model", head: "Model", names: true, cell: ({ displayName, target }) => <span title={idOf(target)}>{displayName || idOf(target)}</span> },
  { key: "kind", half: true, head: "Kind", cell: ({ target }) => KIND_NAME[kindOf(target)] },
  { key: "now", half: true, head: "Now", end: true, cell: ({ level }) => count(level) },
  { key: "contract", half: true, head: "Contract", end: true, cell: (pool) => (pool.contractPlusOne > 0 ? count(pool.contractPlusOne - 1) : none) },
  {
    key: "promised",
    half: true,
    head: "Promised",
    end: true,
    cell: (pool) => {
      const contract = contractOf(pool);
      const over = contract !== undefined && pool.promised > contract;
      return (
        <span className={over ? "text-amber" : ""} title={over ? "More is promised than the contract holds" : ""}>
          {count(pool.promised)}
          {over && ` (${count(Math.round((Number(pool.promised) / Math.max(contract, 1)) * 100))} % of it)`}
        </span>
      );
    },
  },
  { key: "projects", head: "Projects", end: true, cell: ({ projects }) => count(projects) },
  {
    key: "peak",
    head: "Coincident peak, 7 days",
    end: true,
    cell: ({ peak, peakBound }) =>
      peak ? (
        <span>
          <Peak level={peak.level} bound={peakBound} /> <span className="text-muted">· {moment(seconds(peak.at) ?? 0)}</span>
        </span>
      ) : (
        none
      ),
  },
];

/** The models across projects. */
export function Pools() {
  const { data, error, isPending, isError, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["provider-pools"],
    queryFn: ({ pageParam }) => admin.listProviderPools({ pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: READ_EVERY_MS,
  });
  if (isError && !data) return <Failed what="Provider pools" error={error} retry={() => void refetch()} />;
  if (isPending) return <SkeletonRows rows={4} />;
  const pools = data.pages.flatMap((page) => page.pools);
  if (pools.length === 0) return <Empty title="No model is used in any project yet." />;
  return (
    <>
      <Table label="Provider pools" columns={COLUMNS} rows={pools} keyOf={({ target }) => targetKey(target)} />
      {hasNextPage && (
        <Button className="mt-3" onClick={() => void fetchNextPage()}>
          Show more
        </Button>
      )}
    </>
  );
}
