import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { type Plan } from "../../gen/highwater/v1/limit_pb";
import { useCaller } from "../../lib/caller";
import { useLimits } from "../../lib/limits";
import { useNames } from "../../lib/names";
import { say } from "../../lib/said";
import { limits, words } from "../../lib/service";
import { targetKey } from "../../lib/target";
import { count, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Source } from "../../parts/source";
import { Empty, Part } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";

/** Named sets of limits. */
export function Plans({ project }: { project: string }) {
  const caller = useCaller();
  const nameOf = useNames(project);
  const { author, changed } = useLimits(project);
  const [chosen, setChosen] = useState<Plan>();
  const { data, error, isPending, isError, refetch } = useQuery({ queryKey: ["plans"], queryFn: () => limits.listPlans({ pageSize: 1_000 }), staleTime: 600_000 });
  const apply = useMutation({
    mutationFn: ({ id }: Plan) => limits.applyPlan({ project, planId: id, setBy: author, reason: "" }),
    onSuccess: ({ limits: set, ended }, { displayName }) => {
      changed();
      setChosen(undefined);
      say(`${project} is on ${displayName}: ${many(set.length, "limit was", "limits were")} set${ended.length ? `, ${count(ended.length)} of an earlier plan ended` : ""}.`);
    },
  });
  return (
    <Part title="Plans" lead="A plan sets several limits at once. Limits of an earlier plan that are not in it end; those set by hand stay.">
      {isError ? (
        <Failed what="Plans" error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <SkeletonRows rows={3} />
      ) : data.plans.length === 0 ? (
        <Empty title="No plan is known." />
      ) : (
        <ul className="grid gap-3 pt-2 md:grid-cols-2 xl:grid-cols-3">
          {data.plans.map((plan) => (
            <li key={plan.id} className="flex flex-col rounded-[4px] border p-3">
              <div className="flex items-start justify-between gap-3">
                <div>
                  <h3 className="font-semibold">{plan.displayName}</h3>
                  <Source href={plan.sourceUrl} />
                </div>
                {caller?.edits && (
                  <Button aria-label={`Apply ${plan.displayName}`} onClick={() => setChosen(plan)}>
                    Apply
                  </Button>
                )}
              </div>
              <dl className="mt-2">
                {plan.limits.map(({ target, slots }) => (
                  <div key={targetKey(target)} className="flex justify-between gap-4 border-t py-0.5">
                    <dt className="text-muted">{nameOf(target)}</dt>
                    <dd>{count(slots)}</dd>
                  </div>
                ))}
              </dl>
            </li>
          ))}
        </ul>
      )}
      {chosen && (
        <Dialog
          open
          onClose={() => setChosen(undefined)}
          title={`Put ${project} on ${chosen.displayName}?`}
          lead={`It sets ${many(chosen.limits.length, "limit")} from now on: ${chosen.limits.map(({ target, slots }) => `${nameOf(target)} ${count(slots)}`).join(", ")}. The history keeps what was before.`}
        >
          <FormEnd problem={apply.isError ? words(apply.error) : ""}>
            <Button onClick={() => setChosen(undefined)}>Cancel</Button>
            <Button look="main" disabled={apply.isPending} onClick={() => apply.mutate(chosen)}>
              Apply
            </Button>
          </FormEnd>
        </Dialog>
      )}
    </Part>
  );
}
