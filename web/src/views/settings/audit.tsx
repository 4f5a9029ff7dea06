import { useInfiniteQuery } from "@tanstack/react-query";

import { type AuditRow } from "../../gen/highwater/v1/admin_pb";
import { admin } from "../../lib/service";
import { seconds } from "../../lib/target";
import { Button } from "../../parts/button";
import { By } from "../../parts/by";
import { Failed } from "../../parts/failed";
import { Empty, Part } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";

const PAGE = 100;

const COLUMNS: Column<AuditRow>[] = [
  { key: "time", head: "When", cell: ({ time }) => <When at={seconds(time) ?? 0} /> },
  {
    key: "actor",
    head: "By",
    className: "md:min-w-24",
    cell: ({ actor, actorName, role, address }) => (
      <span title={address}>
        <By id={actor} name={actorName} />
        {role && ` (${role})`}
      </span>
    ),
  },
  { key: "action", head: "What", names: true, cell: ({ action, object }) => `${action} ${object}` },
  { key: "before", head: "Before", cell: ({ before }) => before || <span className="text-muted">–</span> },
  { key: "after", head: "After", cell: ({ after }) => after || <span className="text-muted">–</span> },
];

/** What was changed, by whom, the newest first; of actions that begin so. */
export function Trail({ project, of }: { project: string; of?: string }) {
  const { data, error, isPending, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ["audit", project],
    queryFn: ({ pageParam }) => admin.listAuditRows({ project, pageSize: PAGE, pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    staleTime: 0,
  });
  if (isError && !data) return <Failed what="The audit trail" error={error} retry={() => void refetch()} />;
  if (isPending) return <SkeletonRows rows={3} />;
  const rows = data.pages.flatMap((page) => page.rows).filter(({ action }) => !of || action.startsWith(of));
  return (
    <>
      {rows.length > 0 ? <Table label="Changes" columns={COLUMNS} rows={rows} keyOf={({ seq }) => String(seq)} /> : !hasNextPage && <Empty title="Nothing was changed yet." />}
      {hasNextPage && (
        <Button className="mt-3" onClick={() => void fetchNextPage()} disabled={isFetchingNextPage}>
          Show older
        </Button>
      )}
    </>
  );
}

export function Audit({ project }: { project: string }) {
  return (
    <Part title="Audit trail" lead="Every change of this project, the newest first. Rows are kept for 400 days, each chained to the one before.">
      <Trail project={project} />
    </Part>
  );
}
