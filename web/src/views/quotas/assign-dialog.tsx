// Shares a pool among its models: what each has and needed, a proposal to accept or edit, and the sum beside the pool.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Kind } from "../../gen/highwater/v1/types_pb";
import { forecast, limits, words } from "../../lib/service";
import { KIND_NAME, targetKey } from "../../lib/target";
import { count, minutesLong } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { Failed } from "../../parts/failed";
import { SkeletonRows } from "../../parts/skeleton";

interface Props {
  project: string;
  kind: Kind;
  account: string;
  edits: boolean;
  onClose: () => void;
}

export function AssignDialog({ project, kind, account, edits, onClose }: Props) {
  const [edited, setEdited] = useState<Record<string, string>>({});
  const client = useQueryClient();
  const proposal = useQuery({
    queryKey: ["assignment", project, kind, account],
    queryFn: () => forecast.proposeAssignment({ project, kind, account }),
  });
  const shares = proposal.data?.shares ?? [];
  const valueOf = (key: string, proposed: number) => edited[key] ?? String(proposed);
  const sum = shares.reduce((all, share) => all + (Number(valueOf(targetKey(share.target), share.proposedSlots)) || 0), 0);
  const pool = proposal.data && proposal.data.poolLimitPlusOne > 0 ? proposal.data.poolLimitPlusOne - 1 : undefined;
  const isWrong = shares.some((share) => !/^\d{1,8}$/.test(valueOf(targetKey(share.target), share.proposedSlots)));
  const apply = useMutation({
    mutationFn: async () => {
      for (const share of shares) {
        const slots = Number(valueOf(targetKey(share.target), share.proposedSlots));
        if (share.target && slots + 1 !== share.limitPlusOne) {
          await limits.setLimit({ project, target: share.target, slots, reason: "assignment of the pool", setBy: "page" });
        }
      }
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["history"] });
      void client.invalidateQueries({ queryKey: ["limits"] });
      onClose();
    },
  });
  return (
    <Dialog open wide onClose={onClose} title={`Assign ${KIND_NAME[kind]}`} lead={proposal.data?.sentence || "How the pool is shared among its models."}>
      {proposal.isPending && <SkeletonRows rows={4} />}
      {proposal.isError && <Failed what="The proposal" error={proposal.error} retry={() => void proposal.refetch()} />}
      {proposal.data && (
        <>
          <div className="overflow-x-auto">
            <table aria-label="Assignment" className="w-full">
              <thead>
                <tr className="border-b text-right text-muted [&>th]:h-7 [&>th]:px-2 [&>th]:font-normal">
                  <th scope="col" className="text-left">
                    Model
                  </th>
                  <th scope="col">Limit</th>
                  <th scope="col">Peak</th>
                  <th scope="col">p99</th>
                  <th scope="col">At ≥ 90 %</th>
                  <th scope="col">Proposed</th>
                  <th scope="col">Above it</th>
                </tr>
              </thead>
              <tbody>
                {shares.map((share) => {
                  const key = targetKey(share.target);
                  return (
                    <tr key={key} className="h-9 border-b text-right [&>td]:px-2">
                      <th scope="row" className="max-w-64 truncate px-2 text-left font-medium">
                        {share.displayName}
                      </th>
                      <td>{share.limitPlusOne ? count(share.limitPlusOne - 1) : "none"}</td>
                      <td>{share.peak ? count(share.peak.level) : "no data"}</td>
                      <td>{count(share.p99)}</td>
                      <td>{minutesLong(share.minutesNearLimit)}</td>
                      <td>
                        <input
                          aria-label={`Slots of ${share.displayName}`}
                          inputMode="numeric"
                          disabled={!edits}
                          value={valueOf(key, share.proposedSlots)}
                          onChange={(event) => setEdited({ ...edited, [key]: event.target.value })}
                          className="h-7 w-20 rounded-[4px] border bg-ground px-2 text-right"
                        />
                      </td>
                      <td>{edited[key] === undefined ? minutesLong(share.minutesAboveProposed) : ""}</td>
                    </tr>
                  );
                })}
              </tbody>
              <tfoot>
                <tr className="h-9 text-right font-medium [&>td]:px-2">
                  <th scope="row" className="px-2 text-left font-medium">
                    Sum
                  </th>
                  <td>{count(proposal.data.assigned)}</td>
                  <td title="The sum of peaks is not the peak of the sum">
                    {count(proposal.data.sumOfPeaks)}
                    {proposal.data.poolPeak && <span className="font-normal text-muted"> · at once {count(proposal.data.poolPeak.level)}</span>}
                  </td>
                  <td />
                  <td />
                  <td aria-live="polite" className={pool !== undefined && sum > pool ? "text-red" : ""}>
                    {count(sum)} {pool !== undefined && <span className="font-normal text-muted">of {count(pool)}</span>}
                  </td>
                  <td />
                </tr>
              </tfoot>
            </table>
          </div>
          {apply.isError && (
            <p role="alert" className="mt-2 text-red">
              {words(apply.error)}
            </p>
          )}
          <div className="mt-4 flex justify-end gap-2">
            <Button onClick={onClose}>{edits ? "Cancel" : "Close"}</Button>
            {edits && (
              <Button look="main" disabled={isWrong || apply.isPending || shares.length === 0} onClick={() => apply.mutate()}>
                Apply
              </Button>
            )}
          </div>
        </>
      )}
    </Dialog>
  );
}
