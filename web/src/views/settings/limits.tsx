import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Limit } from "../../gen/highwater/v1/limit_pb";
import { type Target } from "../../gen/highwater/v1/types_pb";
import { useCaller } from "../../lib/caller";
import { enforcementWords } from "../../lib/enforcement";
import { isOfStarts, limitWords, useLimits } from "../../lib/limits";
import { useLive } from "../../lib/live";
import { idOf, useNames } from "../../lib/names";
import { limits } from "../../lib/service";
import { seconds, targetKey } from "../../lib/target";
import { Button } from "../../parts/button";
import { By } from "../../parts/by";
import { Failed } from "../../parts/failed";
import { Empty, Part } from "../../parts/page";
import { Peak } from "../../parts/peak";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { Trail } from "./audit";
import { LimitForm } from "./limit-form";

const ENFORCEMENT_EVERY_MS = 30_000;

/** All pages of the limits of a project. */
async function readLimits(of: { project: string; target?: Target; history?: boolean }): Promise<Limit[]> {
  const found: Limit[] = [];
  let pageToken = "";
  do {
    const answer = await limits.listLimits({ ...of, pageSize: 1_000, pageToken });
    found.push(...answer.limits);
    pageToken = answer.nextPageToken;
  } while (pageToken);
  return found;
}

/** A meter or pool may have a limit of slots and one of starts a minute. */
const limitKey = (limit: Limit): string => `${targetKey(limit.target)}${isOfStarts(limit) ? " starts" : ""}`;

export function Limits({ project }: { project: string }) {
  const caller = useCaller();
  const nameOf = useNames(project);
  const live = useLive(project);
  const { end } = useLimits(project);
  const chosen = useQuery({ queryKey: ["enforcement", project], queryFn: () => limits.listEnforcement({ project, pageSize: 1_000 }), refetchInterval: ENFORCEMENT_EVERY_MS, retry: false });
  const enforced = chosen.data ? enforcementWords(chosen.data.enforcements, nameOf) : "";
  const [shown, setShown] = useState("");
  const [editing, setEditing] = useState<Limit | "new">();
  const { data, error, isPending, isError, refetch } = useQuery({ queryKey: ["limits", project], queryFn: () => readLimits({ project }) });

  const columns: Column<Limit>[] = [
    {
      key: "target",
      head: "Of",
      names: true,
      cell: (limit) => {
        const { target } = limit;
        const key = limitKey(limit);
        return (
          <button type="button" aria-expanded={shown === key} title={idOf(target)} onClick={() => setShown(shown === key ? "" : key)} className="text-left hover:underline">
            <span aria-hidden="true" className="mr-1.5 inline-block w-2.5 text-faint">
              {shown === key ? "▾" : "▸"}
            </span>
            {nameOf(target)}
          </button>
        );
      },
    },
    { key: "slots", half: true, head: "Limit", end: true, cell: limitWords },
    {
      key: "peak",
      half: true,
      head: "7-day peak",
      end: true,
      cell: ({ target }) => {
        const quota = live.byKey.get(targetKey(target));
        return <span className="text-muted">{quota?.peak ? <Peak level={quota.peak.level} bound={quota.peakBound} /> : "–"}</span>;
      },
    },
    { key: "since", half: true, head: "Since", cell: ({ startTime }) => <When at={seconds(startTime) ?? 0} /> },
    { key: "until", half: true, head: "Until", cell: ({ endTime }) => (endTime ? <When at={seconds(endTime) ?? 0} /> : <span className="text-muted">no end</span>) },
    { key: "by", head: "Set by", cell: ({ setBy, setByName }) => <By id={setBy} name={setByName} /> },
    { key: "why", head: "Why", cell: ({ reason }) => reason || <span className="text-muted">–</span> },
    ...(caller?.edits
      ? [
          {
            key: "do",
            head: "",
            end: true,
            cell: (limit: Limit) => (
              <span className="inline-flex">
                {!isOfStarts(limit) && (
                  <Button look="quiet" aria-label={`Change the limit of ${nameOf(limit.target)}`} onClick={() => setEditing(limit)}>
                    Change
                  </Button>
                )}
                <Button look="quiet" aria-label={`End the limit of ${nameOf(limit.target)}`} onClick={() => end.mutate({ limit, name: nameOf(limit.target) })}>
                  End
                </Button>
              </span>
            ),
          },
        ]
      : []),
  ];
  return (
    <>
      <Part
        title="Limits"
        lead={`Most slots held at once, of a model, of a connection, or of all models of a kind.${enforced && ` ${enforced}`} What is reported is counted in any case.`}
        actions={
          caller?.edits && (
            <Button look="main" onClick={() => setEditing("new")}>
              Set a limit
            </Button>
          )
        }
      >
        {isError && !data ? (
          <Failed what="Limits" error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <SkeletonRows rows={5} />
        ) : data.length === 0 ? (
          <Empty title="No limit is set.">Without one there is nothing to come near to. A plan sets several at once; the catalogue knows the tiers of providers.</Empty>
        ) : (
          <Table
            label="Limits"
            columns={columns}
            rows={data}
            keyOf={limitKey}
            beneath={(limit) => limit.target && shown === limitKey(limit) && <Before project={project} target={limit.target} ofStarts={isOfStarts(limit)} />}
          />
        )}
      </Part>
      {caller?.edits && (
        <Part title="What was changed">
          <Trail project={project} of="limit." />
        </Part>
      )}
      {editing && <LimitForm project={project} {...(editing !== "new" && { limit: editing })} onClose={() => setEditing(undefined)} />}
    </>
  );
}

/** The limits that were before, the newest first. */
function Before({ project, target, ofStarts }: { project: string; target: Target; ofStarts: boolean }) {
  const client = useQueryClient();
  const key = ["limits", project, "history", targetKey(target)];
  const { data, error, isPending, isError } = useQuery({ queryKey: key, queryFn: () => readLimits({ project, target, history: true }) });
  if (isError) return <Failed what="The history" error={error} retry={() => void client.invalidateQueries({ queryKey: key })} />;
  if (isPending) return <SkeletonRows rows={2} />;
  return (
    <ol aria-label="History of the limit" className="grid gap-1 pl-4">
      {data.filter((limit) => isOfStarts(limit) === ofStarts).map(({ startTime, endTime, setBy, setByName, reason, endedBy, endedByName, endReason, ...limit }, nth) => (
        <li key={nth} className="wrap-anywhere">
          <span className="inline-block min-w-12 text-right font-medium">{limitWords(limit)}</span>{" "}
          <span className="text-muted">
            from <When at={seconds(startTime) ?? 0} />
            {endTime && (
              <>
                {" "}
                to <When at={seconds(endTime) ?? 0} />
              </>
            )}
            , set by <By id={setBy} name={setByName} />
            {reason && `: ${reason}`}
            {endedBy && (
              <>
                ; ended by <By id={endedBy} name={endedByName} />
              </>
            )}
            {endReason && `: ${endReason}`}
          </span>
        </li>
      ))}
    </ol>
  );
}
