// Connections: one tile each for what LiveKit itself connects.
import { useMemo } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { type Kind, Risk, type Target } from "../../gen/highwater/v1/types_pb";
import { go } from "../../lib/address";
import { useHistory } from "../../lib/history";
import { type Live } from "../../lib/live";
import { type Series, envelope } from "../../lib/series";
import { CONNECTION_KINDS, KIND_NAME, KIND_WORD, isPool, kindOf, seconds, targetKey, turnedAway } from "../../lib/target";
import { count, moment } from "../../lib/time";
import { Failed } from "../../parts/failed";
import { Skeleton } from "../../parts/skeleton";
import { Now } from "./standing";

const HALF_HOUR = 1_800;

export function Tiles({ project, live }: { project: string; live: Live }) {
  const found = useMemo(() => {
    const all = [...live.byKey.values()];
    return CONNECTION_KINDS.map((kind) => {
      const of = all.filter((quota) => kindOf(quota.target) === kind);
      return { kind, quota: of.find((quota) => isPool(quota.target)) ?? of[0] };
    });
  }, [live.byKey]);
  const targets = found.map(({ quota }) => quota?.target).filter((target): target is Target => target !== undefined);
  const history = useHistory(project, targets, "7d", HALF_HOUR);
  return (
    <section aria-label="Connections">
      <ul className="grid grid-cols-5 border max-[1100px]:grid-cols-3 max-[640px]:grid-cols-2">
        {found.map(({ kind, quota }) => (
          <li key={kind} className="-mr-px -mb-px min-h-[108px] border-r border-b p-3">
            {live.status === "connecting" ? (
              <Skeleton className="h-20 w-full" />
            ) : (
              <Tile project={project} kind={kind} quota={quota} series={history.data?.get(targetKey(quota?.target))} />
            )}
          </li>
        ))}
      </ul>
      {history.isError && <Failed what="The connections' history" error={history.error} retry={() => void history.refetch()} />}
    </section>
  );
}

interface TileProps {
  project: string;
  kind: Kind;
  quota: Quota | undefined;
  series: Series | undefined;
}

function Tile({ project, kind, quota, series }: TileProps) {
  if (!quota) {
    return (
      <>
        <h2 className="text-muted">{KIND_NAME[kind]}</h2>
        <p className="mt-2">Not connected.</p>
        <p className="text-muted">
          {kind <= 5
            ? "Point LiveKit's webhook at /livekit/webhook, or report it from a worker."
            : "Point LiveKit's webhook at /livekit/webhook."}
        </p>
      </>
    );
  }
  const limit = quota.limit?.slots;
  const lost = Number(quota.closed?.lost ?? 0n);
  const refused = turnedAway(quota);
  const trouble = !quota.covered ? "no data" : refused > 0 ? `${count(refused)} refused this week` : lost > 0 ? `${count(lost)} lost this week` : "";
  return (
    <a
      href={`/p/${encodeURIComponent(project)}/sessions?kind=${KIND_WORD[kind]}`}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey) return;
        event.preventDefault();
        go({ view: "sessions", rest: { kind: KIND_WORD[kind] } });
      }}
      className="block"
    >
      <span className="flex items-baseline justify-between gap-2">
        <h2 className="text-muted">{KIND_NAME[kind]}</h2>
        {quota.risk !== Risk.OK && <Now quota={quota} />}
      </span>
      <span className="mt-1 block text-[22px] leading-7 font-semibold">
        {quota.covered ? count(quota.level) : "—"}
        {limit !== undefined && <span className="text-[13px] font-normal text-muted"> of {count(limit)}</span>}
      </span>
      {series ? <Spark series={series} limit={limit} /> : <Skeleton className="h-6 w-full" />}
      <span className="mt-0.5 block text-muted">
        {quota.peak ? `peak ${count(quota.peak.level)}, ${moment(seconds(quota.peak.at) ?? 0)}` : "no data yet"}
        {trouble && <span className={quota.covered ? "text-red" : "text-amber"}> · {trouble}</span>}
      </span>
    </a>
  );
}

const WIDTH = 220;
const HEIGHT = 24;

function Spark({ series, limit }: { series: Series; limit: number | undefined }) {
  const cells = envelope(series.peak, 110);
  const most = Math.max(limit ?? 0, ...cells.map((cell) => cell?.high ?? 0), 1);
  const y = (level: number) => HEIGHT - 1 - (level / most) * (HEIGHT - 2);
  let path = "";
  let isUp = true;
  cells.forEach((cell, nth) => {
    if (!cell) {
      isUp = true;
      return;
    }
    const x = (nth / (cells.length - 1)) * WIDTH;
    path += `${isUp ? "M" : "L"}${x.toFixed(1)} ${y(cell.high).toFixed(1)}`;
    if (cell.low !== cell.high) path += `L${x.toFixed(1)} ${y(cell.low).toFixed(1)}`;
    isUp = false;
  });
  return (
    <svg aria-hidden="true" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="block h-6 w-full">
      {limit !== undefined && <line x1={0} x2={WIDTH} y1={y(limit)} y2={y(limit)} className="stroke-muted" strokeDasharray="3 3" vectorEffect="non-scaling-stroke" />}
      <path d={path} fill="none" className="stroke-fill" strokeWidth={1.2} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
