// Planning by hand: what another limit would have meant in the last week.
import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { useAuthor } from "../../lib/author";
import { useHistory } from "../../lib/history";
import { say } from "../../lib/said";
import { whatIf } from "../../lib/series";
import { limits, words } from "../../lib/service";
import { isPool, targetKey } from "../../lib/target";
import { count, minutesLong } from "../../lib/time";
import { Button } from "../../parts/button";

const MOST_SLOTS = 16_777_215;

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
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const author = useAuthor();
  const client = useQueryClient();
  const key = targetKey(quota.target);
  const targets = useMemo(() => (quota.target ? [quota.target] : []), [quota.target]);
  const week = useHistory(project, targets, "7d");
  const series = week.data?.get(key);
  const found = useMemo(() => series && whatIf(series, slots), [series, slots]);
  const before = quota.limit?.slots;
  const sum = meters.reduce((all, of) => all + (targetKey(of.target) === key ? slots : (of.limit?.slots ?? 0)), 0);
  const ceiling = isPool(quota.target) ? slots : pool?.limit?.slots;
  const set = async (next: number | undefined, reason: string) => {
    if (!quota.target) return;
    if (next === undefined) await limits.endLimit({ project, target: quota.target, setBy: author, reason });
    else await limits.setLimit({ project, target: quota.target, slots: next, setBy: author, reason });
    await client.invalidateQueries({ queryKey: ["limits"] });
    await client.invalidateQueries({ queryKey: ["annotations"] });
  };
  const apply = async () => {
    setBusy(true);
    try {
      await set(slots, "planned on the page");
      say(`The limit of ${quota.displayName} is ${count(slots)} now.`, () => set(before, "undone on the page"));
      onDone();
    } catch (error) {
      setProblem(words(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div role="group" aria-label={`Another limit for ${quota.displayName}`} className="mb-2 flex flex-wrap items-center gap-x-3 gap-y-1 border border-blue bg-blue-tint px-3 py-1.5">
      <label className="flex items-center gap-2 font-medium">
        At
        <input
          aria-label="Limit to try"
          inputMode="numeric"
          value={String(slots)}
          onChange={(event) => {
            const next = Number(event.target.value.replace(/\D/g, ""));
            if (next <= MOST_SLOTS) onMove(next);
          }}
          className="h-7 w-20 rounded-[4px] border bg-ground px-2 text-right"
        />
      </label>
      <p role="status">
        {found ? (
          <>
            <span className={found.full > 0 ? "text-red" : ""}>{minutesLong(found.full)} full</span>,{" "}
            <span className={found.near > 0 && found.full === 0 ? "text-amber" : ""}>{minutesLong(found.near)} at or above 90 % last week</span>
          </>
        ) : week.isError ? (
          "the last week could not be read"
        ) : (
          "…"
        )}
        {ceiling !== undefined && sum > 0 && (
          <span className={sum > ceiling ? "text-red" : ""}>
            ; {isPool(quota.target) ? "assigned" : "pool"} {count(sum)} of {count(ceiling)}
          </span>
        )}
      </p>
      <span className="ml-auto flex gap-2">
        {edits && (
          <Button disabled={isBusy || slots === before} onClick={() => void apply()}>
            Apply
          </Button>
        )}
        {slots > (before ?? 0) && (
          <Button look="main" onClick={onRequest}>
            Request {count(slots)}
          </Button>
        )}
        <Button look="quiet" onClick={onDone}>
          Cancel
        </Button>
      </span>
      {problem && (
        <p role="alert" className="w-full text-red">
          {problem}
        </p>
      )}
    </div>
  );
}
