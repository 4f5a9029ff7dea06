// A model type: its head, its chart and its table, tied together.
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { type Kind } from "../../gen/highwater/v1/types_pb";
import { go, useAddress } from "../../lib/address";
import { useFiringByKey } from "../../lib/firing";
import { KIND_NAME, accountOf, isPool, seconds, targetKey } from "../../lib/target";
import { clock, count, day, moment } from "../../lib/time";
import { Bell } from "../../parts/bell";
import { Button } from "../../parts/button";
import { part } from "../../parts/part";
import { Peak } from "../../parts/peak";
import { Skeleton } from "../../parts/skeleton";
import { ChartPanel } from "./chart-panel";
import { QuotaTable } from "./table";

const AssignDialog = part("The assignment", () => import("./assign-dialog").then((of) => of.default));
const Detail = part("The detail", () => import("./detail").then((of) => of.default), <Skeleton className="h-96 w-full" />);

/** Limits that differ more than this are drawn as shares of themselves. */
const FOURFOLD = 4;

interface Props {
  project: string;
  kind: Kind;
  /** Its pools and meters. */
  quotas: Quota[];
  stale: boolean;
  /** The second that stale levels are of; 0 when none was ever known. */
  asOf: number;
  edits: boolean;
  onRequest: (quota: Quota, wanted?: number) => void;
  onSetLimit: (quota: Quota, slots?: number) => void;
}

export function Section({ project, kind, quotas, stale, asOf, edits, onRequest, onSetLimit }: Props) {
  const { select, open, filter } = useAddress();
  const [preview, setPreview] = useState("");
  const [asPercent, setAsPercent] = useState<boolean | null>(null);
  /** The account whose pool is assigned. */
  const [assigns, setAssigns] = useState<string | null>(null);
  const [asTable, setAsTable] = useState(false);
  const pools = useMemo(() => quotas.filter((quota) => isPool(quota.target)), [quotas]);
  const meters = useMemo(() => quotas.filter((quota) => !isPool(quota.target)), [quotas]);
  const shown = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return meters.filter((quota) => `${quota.displayName} ${quota.target?.target.value?.model}`.toLowerCase().includes(wanted));
  }, [meters, filter]);
  const limitsOf = meters.map((quota) => quota.limit?.slots ?? 0).filter((slots) => slots > 0);
  const differs = limitsOf.length > 1 && Math.max(...limitsOf) > FOURFOLD * Math.min(...limitsOf);
  const selected = quotas.some((quota) => targetKey(quota.target) === select) ? select : "";
  const percent = asPercent ?? (differs && !selected);
  const openPool = pools.find((quota) => targetKey(quota.target) === open);
  const doSelect = (key: string) => go({ select: key }, { replace: true });
  const doOpen = (key: string) => go({ open: key, ...(key && { select: key }) }, { replace: true });
  const detail = (quota: Quota) => (
    <Detail project={project} quota={quota} edits={edits} onRequest={() => onRequest(quota)} onSetLimit={() => onSetLimit(quota)} />
  );
  return (
    <section aria-label={KIND_NAME[kind]} className="far mt-7">
      <Head kind={kind} pools={pools} meters={meters} open={open} stale={stale} asOf={asOf} onOpen={doOpen} onAssign={setAssigns}>
        {limitsOf.length > 0 && (
          <Button look="quiet" aria-pressed={percent} onClick={() => setAsPercent(!percent)}>
            % of limit{percent ? " ✓" : ""}
          </Button>
        )}
        <Button look="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          As table{asTable ? " ✓" : ""}
        </Button>
      </Head>
      <ChartPanel
        project={project}
        section={String(kind)}
        name={KIND_NAME[kind]}
        quotas={quotas}
        selected={selected}
        preview={preview}
        percent={percent}
        asTable={asTable}
        stale={stale}
        edits={edits}
        onSelect={doSelect}
        onPreview={setPreview}
        onRequest={onRequest}
      />
      {openPool && <div className="mb-2 border-y">{detail(openPool)}</div>}
      {shown.length > 0 ? (
        <QuotaTable
          label={`Models of ${KIND_NAME[kind]}`}
          quotas={shown}
          selected={selected}
          preview={preview}
          opened={open}
          stale={stale}
          edits={edits}
          actions={{ select: doSelect, preview: setPreview, open: doOpen, request: onRequest, setLimit: onSetLimit }}
          detail={detail}
        />
      ) : (
        <p className="py-2 text-muted">{meters.length > 0 ? `No model of ${KIND_NAME[kind]} has “${filter}” in its name.` : "No model was reported yet."}</p>
      )}
      {assigns !== null && (
        <AssignDialog
          project={project}
          kind={kind}
          account={assigns}
          meters={meters.filter((quota) => accountOf(quota) === assigns)}
          edits={edits}
          onClose={() => setAssigns(null)}
        />
      )}
    </section>
  );
}

interface HeadProps {
  kind: Kind;
  pools: Quota[];
  meters: Quota[];
  open: string;
  stale: boolean;
  asOf: number;
  onOpen: (key: string) => void;
  onAssign: (account: string) => void;
  children: React.ReactNode;
}

/** "TTS · 27 of 40 · assigned 38 · peak 34, Tue 14:03", a line for each account that has a pool. */
function Head({ kind, pools, meters, open, stale, asOf, onOpen, onAssign, children }: HeadProps) {
  const key = targetKey(pools[0]?.target);
  return (
    <header className="flex flex-wrap items-baseline gap-x-2 gap-y-0.5 border-b pb-1">
      <h2 className="text-[15px] font-semibold">
        {pools[0] ? (
          <button type="button" aria-expanded={open === key} title={`Detail of all ${KIND_NAME[kind]}`} onClick={() => onOpen(open === key ? "" : key)} className="hover:underline">
            {KIND_NAME[kind]}
          </button>
        ) : (
          KIND_NAME[kind]
        )}
      </h2>
      <div className={stale ? "opacity-60 grayscale" : ""}>
        {pools.map((pool) => (
          <PoolLine
            key={targetKey(pool.target)}
            kind={kind}
            pool={pool}
            meters={meters.filter((quota) => accountOf(quota) === accountOf(pool))}
            isOneOfMany={pools.length > 1}
            onOpen={() => onOpen(open === targetKey(pool.target) ? "" : targetKey(pool.target))}
            onAssign={() => onAssign(accountOf(pool))}
          />
        ))}
      </div>
      {stale && <span className="text-muted">as of {asOf ? clock(asOf) : "never"}</span>}
      <span className="ml-auto flex gap-1">{children}</span>
    </header>
  );
}

interface PoolLineProps {
  kind: Kind;
  pool: Quota;
  /** Those of its account. */
  meters: Quota[];
  isOneOfMany: boolean;
  onOpen: () => void;
  onAssign: () => void;
}

/** How one pool stands. */
function PoolLine({ kind, pool, meters, isOneOfMany, onOpen, onAssign }: PoolLineProps) {
  const since = seconds(pool.knownSince);
  const assigned = meters.reduce((sum, quota) => sum + (quota.limit?.slots ?? 0), 0);
  const isShort = pool.limit !== undefined && assigned > pool.limit.slots;
  const firing = useFiringByKey().get(targetKey(pool.target));
  const account = isOneOfMany ? ` of ${accountOf(pool)}` : "";
  return (
    <p className="text-muted">
      <span aria-hidden="true" className="max-[560px]:hidden">
        ·{" "}
      </span>
      {isOneOfMany && (
        <>
          <button type="button" title={`Detail of all ${KIND_NAME[kind]}${account}`} onClick={onOpen} className="text-text hover:underline">
            {accountOf(pool)}
          </button>
          {": "}
        </>
      )}
      <span className={pool.limit && pool.level >= pool.limit.slots ? "text-red" : "text-text"}>
        {pool.covered ? count(pool.level) : "unknown"}
        {pool.limit ? ` of ${count(pool.limit.slots)}` : pool.covered ? " held, the pool has no limit" : ", the pool has no limit"}
      </span>
      {" · "}
      <button type="button" title={`Assign ${KIND_NAME[kind]}${account} to its models`} className={`hover:underline ${isShort ? "text-amber" : "text-blue"}`} onClick={onAssign}>
        {assigned > 0 ? `assigned ${count(assigned)}` : "assign"}
      </button>
      {pool.peak ? (
        <>
          {" "}
          · peak{since && ` since ${day(since)}:`} <Peak level={pool.peak.level} bound={pool.peakBound} />, {moment(seconds(pool.peak.at) ?? 0)}
        </>
      ) : (
        " · no data yet"
      )}
      {since && ` · no data before ${moment(since)}`}
      {firing && (
        <>
          {" "}
          <Bell firing={firing} name={`all ${KIND_NAME[kind]}${account}`} />
        </>
      )}
    </p>
  );
}
