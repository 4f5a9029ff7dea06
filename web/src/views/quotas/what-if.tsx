// Planning by hand: what another limit would have meant in the last week.
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { useHistory } from "../../lib/history";
import { useLimits } from "../../lib/limits";
import { whatIf } from "../../lib/series";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { isPool, nameOf, targetKey } from "../../lib/target";
import { count, minutesLong, ofKnown } from "../../lib/time";
import { Button } from "../../parts/button";

interface Props {
  project: string;
  quota: Quota;
  slots: number;
  pool: Quota | undefined;
  meters: Quota[];
  edits: boolean;
  onMove: (slots: number) => void;
  onRequest: () => void;
  onDone: () => void;
}

export function WhatIf({ project, quota, slots, pool, meters, edits, onMove, onRequest, onDone }: Props) {
  const { set } = useLimits(project);
  const key = targetKey(quota.target);
  const targets = useMemo(() => (quota.target ? [quota.target] : []), [quota.target]);
  const week = useHistory(project, targets, "7d");
  const series = week.data?.get(key);
  const found = useMemo(() => series && whatIf(series, slots), [series, slots]);
  const before = quota.limit?.slots;
  // What is typed stands while it is no number of slots: nothing else is made of it.
  const [typed, setTyped] = useState<{ text: string; of: number }>();
  const text = typed?.of === slots ? typed.text : String(slots);
  const problem = slotsProblem(text, 0);
  const sum = meters.reduce((all, of) => all + (targetKey(of.target) === key ? slots : (of.limit?.slots ?? 0)), 0);
  const ceiling = isPool(quota.target) ? slots : pool?.limit?.slots;
  const apply = () => {
    const { target } = quota;
    const name = nameOf(quota);
    if (target) set.mutate({ target, name, slots, reason: "planned on the page" }, { onSuccess: onDone });
  };
  return (
    <div role="group" aria-label={`Another limit for ${nameOf(quota)}`} className="mb-2 flex flex-wrap items-center gap-x-3 gap-y-1 border border-blue bg-blue-tint px-3 py-1.5">
      <label className="flex items-center gap-2 font-medium">
        At
        <input
          aria-label="Limit to try"
          inputMode="numeric"
          value={text}
          aria-invalid={problem !== ""}
          onChange={({ target: { value } }) => {
            const next = slotsProblem(value, 0) ? slots : Number(value);
            setTyped({ text: value, of: next });
            if (next !== slots) onMove(next);
          }}
          className="h-7 w-20 rounded-[4px] border bg-ground px-2 text-right"
        />
      </label>
      <p role="status">
        {problem ? (
          <span className="text-red">{problem}</span>
        ) : found?.covered === 0 ? (
          "nothing is known of it yet"
        ) : found && slots === 0 ? (
          <span className={found.full > 0 ? "text-red" : ""}>{found.full > 0 ? `${minutesLong(found.full)} in use ${ofKnown(found.covered)}, all of it over` : `never in use ${ofKnown(found.covered)}`}</span>
        ) : found ? (
          <>
            <span className={found.full > 0 ? "text-red" : ""}>{minutesLong(found.full)} full</span>,{" "}
            <span className={found.near > 0 && found.full === 0 ? "text-amber" : ""}>
              {minutesLong(found.near)} at or above 90 % {ofKnown(found.covered)}
            </span>
          </>
        ) : week.isError ? (
          "the last week could not be read"
        ) : (
          "…"
        )}
        {!problem && ceiling !== undefined && sum > 0 && (
          <span className={sum > ceiling ? "text-red" : ""}>
            ; {isPool(quota.target) ? "assigned" : "pool"} {count(sum)} of {count(ceiling)}
          </span>
        )}
      </p>
      <span className="ml-auto flex gap-2">
        {edits && (
          <Button disabled={set.isPending || slots === before || problem !== ""} onClick={apply}>
            Apply
          </Button>
        )}
        {slots > (before ?? 0) && !problem && (
          <Button look="main" onClick={onRequest}>
            Request {count(slots)}
          </Button>
        )}
        <Button look="quiet" onClick={onDone}>
          Cancel
        </Button>
      </span>
      {set.isError && (
        <p role="alert" className="w-full text-red">
          {words(set.error)}
        </p>
      )}
    </div>
  );
}
