// Shares a pool among its models: what each has and needed, a proposal to accept or edit, and the sum beside the pool.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Bound, type Kind, type Target } from "../../gen/highwater/v1/types_pb";
import { useHistory } from "../../lib/history";
import { useLimits } from "../../lib/limits";
import { say } from "../../lib/said";
import { minutesAbove } from "../../lib/series";
import { forecast } from "../../lib/forecast";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { KIND_NAME, nameOf, targetKey } from "../../lib/target";
import { count, many, minutesLong } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { Failed } from "../../parts/failed";
import { Peak } from "../../parts/peak";
import { SkeletonRows } from "../../parts/skeleton";
import { FOLD } from "../../parts/table";

interface Props {
  project: string;
  kind: Kind;
  account: string;
  /** Its models as they stand: what is edited when no proposal can be had. */
  meters: Quota[];
  edits: boolean;
  onClose: () => void;
}

interface Row {
  target: Target | undefined;
  key: string;
  name: string;
  limit: number | undefined;
  peak: number | undefined;
  near: number;
  proposed: number;
}

/** In a narrow window a row is a block of its own. */
const FOLDED = "[&>td]:px-2 max-md:grid max-md:h-auto max-md:grid-cols-2 max-md:gap-x-6 max-md:py-2 max-md:[&>td]:px-0";

const slotsIn = (text: string): number | undefined => (slotsProblem(text, 0) ? undefined : Number(text));

export default function AssignDialog({ project, kind, account, meters, edits, onClose }: Props) {
  const [edited, setEdited] = useState<Record<string, string>>({});
  const { change, undo, changed: told } = useLimits(project);
  const proposal = useQuery({
    queryKey: ["assignment", project, kind, account],
    queryFn: () => forecast.proposeAssignment({ project, kind, account }),
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
  });
  // As they were when it was opened: levels do not move under the hand.
  const [asTheyStand] = useState(meters);
  const rows = useMemo<Row[]>(
    () =>
      proposal.data
        ? proposal.data.shares.map((share) => ({
            target: share.target,
            key: targetKey(share.target),
            name: share.displayName,
            limit: share.limitPlusOne > 0 ? share.limitPlusOne - 1 : undefined,
            peak: share.peak?.level,
            near: share.minutesNearLimit,
            proposed: share.proposedSlots,
          }))
        : asTheyStand.map((quota) => ({
            target: quota.target,
            key: targetKey(quota.target),
            name: nameOf(quota),
            limit: quota.limit?.slots,
            peak: quota.peak?.level,
            near: quota.minutesNearLimit,
            proposed: quota.limit?.slots ?? quota.peak?.level ?? 0,
          })),
    [proposal.data, asTheyStand],
  );
  const bounds = new Map(meters.map((quota) => [targetKey(quota.target), quota.peakBound]));
  const targets = useMemo(() => rows.map(({ target }) => target).filter((target): target is Target => target !== undefined), [rows]);
  const week = useHistory(project, targets, "7d");
  const textOf = (row: Row) => edited[row.key] ?? String(row.proposed);
  const sum = rows.reduce((all, row) => all + (slotsIn(textOf(row)) ?? 0), 0);
  const assigned = rows.reduce((all, row) => all + (row.limit ?? 0), 0);
  const peaks = rows.reduce((all, row) => all + (row.peak ?? 0), 0);
  const pool = proposal.data && proposal.data.poolLimitPlusOne > 0 ? proposal.data.poolLimitPlusOne - 1 : undefined;
  const isOver = pool !== undefined && sum > pool;
  const next = proposal.data ? "Proposed" : "Next";
  const isWrong = rows.some((row) => slotsIn(textOf(row)) === undefined);
  const changed = rows.filter((row) => slotsIn(textOf(row)) !== row.limit);
  const apply = useMutation({
    mutationFn: async () => {
      const ways: (() => Promise<void>)[] = [];
      try {
        for (const row of changed) {
          const slots = slotsIn(textOf(row));
          if (!row.target || slots === undefined) continue;
          ways.push((await change({ target: row.target, slots, reason: `assignment of ${KIND_NAME[kind]}` })).back);
        }
        return ways;
      } catch (error) {
        // What was set before it failed can be undone too.
        if (ways.length > 0) say(`Set: ${count(ways.length)} of ${many(changed.length, "limit")}.`, undo(...ways));
        throw new Error(`Set: ${count(ways.length)} of ${many(changed.length, "limit")}. ${words(error)}`);
      } finally {
        told();
      }
    },
    onSuccess: (ways) => {
      say(`${many(changed.length, "limit was", "limits were")} set.`, undo(...ways));
      onClose();
    },
  });
  return (
    <Dialog open wide onClose={onClose} title={`Assign ${KIND_NAME[kind]}`} lead={proposal.data?.sentence || "How the pool is shared among its models."}>
      {proposal.isError && <Failed what="The proposal" error={proposal.error} retry={() => void proposal.refetch()} />}
      {proposal.isPending ? (
        <SkeletonRows rows={4} />
      ) : (
        <>
          <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Assignment">
            <table aria-label={`Assignment of ${KIND_NAME[kind]}`} className="w-full max-md:block">
              <thead className="max-md:sr-only">
                <tr className="border-b text-right text-muted [&>th]:h-7 [&>th]:px-2 [&>th]:font-normal [&>th]:whitespace-nowrap">
                  <th scope="col" className="text-left">
                    Model
                  </th>
                  <th scope="col">Limit</th>
                  <th scope="col">7-day peak</th>
                  <th scope="col">At ≥ 90 %</th>
                  <th scope="col">{next}</th>
                  <th scope="col">Time above</th>
                </tr>
              </thead>
              <tbody className="max-md:block">
                {rows.map((row) => {
                  const slots = slotsIn(textOf(row));
                  const series = week.data?.get(row.key);
                  const above = series && slots !== undefined ? minutesAbove(series, slots) : undefined;
                  return (
                    <tr key={row.key} className={`h-9 border-b text-right ${FOLDED}`}>
                      <th scope="row" title={row.name} className="max-w-64 truncate px-2 text-left font-medium max-md:col-span-2 max-md:max-w-full max-md:px-0 max-md:whitespace-normal">
                        {row.name}
                      </th>
                      <td data-head="Limit" className={`${FOLD} ${row.limit === undefined ? "text-muted" : ""}`}>{row.limit === undefined ? "none" : count(row.limit)}</td>
                      <td data-head="7-day peak" className={FOLD}>{row.peak === undefined ? "no data" : <Peak level={row.peak} bound={bounds.get(row.key) ?? Bound.UNSPECIFIED} />}</td>
                      <td data-head="At ≥ 90 %" className={FOLD}>{minutesLong(row.near)}</td>
                      <td data-head={next} className={`${FOLD} max-md:order-last max-md:col-span-2`}>
                        <input
                          aria-label={`Slots of ${row.name}`}
                          aria-invalid={slots === undefined}
                          inputMode="numeric"
                          disabled={!edits}
                          value={textOf(row)}
                          onChange={(event) => setEdited({ ...edited, [row.key]: event.target.value })}
                          className={`h-7 w-20 rounded-[4px] border bg-ground px-2 text-right aria-invalid:border-red ${slots === row.limit ? "" : "font-medium text-blue"}`}
                        />
                      </td>
                      <td data-head="Time above" className={`${FOLD} ${above ? "text-red" : ""}`}>{above === undefined ? "" : minutesLong(above)}</td>
                    </tr>
                  );
                })}
              </tbody>
              <tfoot className="max-md:block">
                <tr className={`h-9 text-right font-medium ${FOLDED}`}>
                  <th scope="row" className="px-2 text-left font-medium max-md:col-span-2 max-md:px-0">
                    Sum
                  </th>
                  <td data-head="Limit" className={`${FOLD} max-md:col-span-2`}>{count(assigned)}</td>
                  <td data-head="7-day peak" className={`${FOLD} max-md:col-span-2`} title="The sum of peaks is not the peak of the sum">
                    <span>
                      {count(peaks)}
                      {proposal.data?.poolPeak && <span className="font-normal whitespace-nowrap text-muted"> · {count(proposal.data.poolPeak.level)} at once</span>}
                    </span>
                  </td>
                  <td className="max-md:hidden" />
                  <td data-head={next} aria-live="polite" className={`${FOLD} max-md:col-span-2 ${isOver ? "text-red" : ""}`}>
                    <span>
                      {count(sum)}
                      {pool !== undefined && <span className={isOver ? "" : "font-normal text-muted"}> of {count(pool)}</span>}
                    </span>
                  </td>
                  <td className="max-md:hidden" />
                </tr>
              </tfoot>
            </table>
          </div>
          {apply.isError && (
            <p role="alert" className="mt-2 text-red">
              {words(apply.error)}
            </p>
          )}
          <div className="mt-4 flex flex-wrap justify-end gap-2">
            {Object.keys(edited).length > 0 && (
              <Button look="quiet" onClick={() => setEdited({})}>
                Back to the proposal
              </Button>
            )}
            <Button onClick={onClose}>{edits ? "Cancel" : "Close"}</Button>
            {edits && (
              <Button look="main" disabled={isWrong || apply.isPending || changed.length === 0} onClick={() => apply.mutate()}>
                Set {many(changed.length, "limit")}
              </Button>
            )}
          </div>
        </>
      )}
    </Dialog>
  );
}
