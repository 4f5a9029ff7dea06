// Connections: one tile each for what LiveKit itself connects; one that is opened shows its chart and detail beneath.
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { type Kind, Risk } from "../../gen/highwater/v1/types_pb";
import { go, useAddress } from "../../lib/address";
import { useFiringByKey } from "../../lib/firing";
import { TILE_STEP, useHistory } from "../../lib/history";
import { type Live } from "../../lib/live";
import { type Series, envelope } from "../../lib/series";
import { connectionsOf, targetsOf } from "../../lib/sections";
import { KIND_NAME, KIND_WORD, heldAndTurned, kindOf, seconds, targetKey, turnedAway } from "../../lib/target";
import { count, day, moment } from "../../lib/time";
import { Button } from "../../parts/button";
import { Failed } from "../../parts/failed";
import { Bell } from "../../parts/bell";
import { part } from "../../parts/part";
import { Peak } from "../../parts/peak";
import { Skeleton } from "../../parts/skeleton";
import { ChartPanel } from "./chart-panel";
import { Now, WeekBadge } from "./standing";

const Detail = part("The detail", () => import("./detail").then((of) => of.default), <Skeleton className="h-96 w-full" />);

interface Props {
  project: string;
  live: Live;
  edits: boolean;
  onRequest: (quota: Quota, wanted?: number) => void;
  onSetLimit: (quota: Quota, slots?: number) => void;
}

export function Tiles({ project, live, edits, onRequest, onSetLimit }: Props) {
  const { open } = useAddress();
  const found = useMemo(() => connectionsOf(live.byKey), [live.byKey]);
  const targets = targetsOf(found.flatMap(({ quota }) => quota ?? []));
  const history = useHistory(project, targets, "7d", TILE_STEP);
  const opened = found.flatMap(({ quota, others }) => (quota ? [quota, ...others] : [])).find((quota) => targetKey(quota.target) === open);
  const stale = live.status === "stale";
  const [asTable, setAsTable] = useState(false);
  return (
    <section aria-label="Connections">
      <ul className={`grid grid-cols-5 border-t border-l max-[1100px]:grid-cols-3 max-[640px]:grid-cols-2 ${stale ? "opacity-60 grayscale" : ""}`}>
        {found.map(({ kind, quota, others }) => (
          <li key={kind} className="relative min-h-[108px] border-r border-b p-2.5 max-[1100px]:last:col-span-2">
            {live.status === "connecting" ? (
              <Skeleton className="h-20 w-full" />
            ) : quota ? (
              <Tile
                project={project}
                kind={kind}
                quota={quota}
                others={others}
                isOpen={opened !== undefined && kindOf(opened.target) === kind}
                series={history.data?.get(targetKey(quota.target))}
              />
            ) : (
              <>
                <h2 className="text-muted">{KIND_NAME[kind]}</h2>
                <p className="mt-1.5">Not connected.</p>
                <p className="text-muted">Point LiveKit’s webhook at /livekit/webhook, or report them from a worker.</p>
              </>
            )}
          </li>
        ))}
      </ul>
      {history.isError && (
        <div className="mt-2">
          <Failed what="The history of the connections" error={history.error} retry={() => void history.refetch()} />
        </div>
      )}
      {opened && (
        <section aria-label={KIND_NAME[kindOf(opened.target)]} className="mt-3">
          <div className="flex justify-end">
            <Button look="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
              As table{asTable ? " ✓" : ""}
            </Button>
          </div>
          <ChartPanel
            project={project}
            section={KIND_WORD[kindOf(opened.target)]}
            name={KIND_NAME[kindOf(opened.target)]}
            quotas={[opened]}
            selected={open}
            preview=""
            percent={false}
            asTable={asTable}
            stale={stale}
            edits={edits}
            onSelect={() => undefined}
            onPreview={() => undefined}
            onRequest={onRequest}
          />
          <Detail project={project} quota={opened} edits={edits} onRequest={() => onRequest(opened)} onSetLimit={() => onSetLimit(opened)} />
        </section>
      )}
    </section>
  );
}

interface TileProps {
  project: string;
  kind: Kind;
  quota: Quota;
  /** What else is of its kind: what fires of it is marked here too. */
  others: Quota[];
  isOpen: boolean;
  series: Series | undefined;
}

interface Trouble {
  word: string;
  isBad: boolean;
  /** It is of sessions that are there; what is over is told in the detail. */
  isLive: boolean;
  title?: string | undefined;
}

/** What may disturb the connections, the worst first: which, and how many; all of it on hover. */
function troubleOf(quota: Quota): Trouble | undefined {
  if (!quota.covered) return { word: "no data", isBad: false, isLive: false };
  const refused = turnedAway(quota);
  const down = Number(quota.closed?.unavailable ?? 0n);
  const lost = Number(quota.closed?.lost ?? 0n);
  const over = [
    refused > 0 ? `${count(refused)} turned away` : "",
    down > 0 ? `${count(down)} provider down` : "",
    lost > 0 ? `${count(lost)} lost` : "",
  ].filter(Boolean);
  const [worst] = over;
  if (worst) return { word: over.length > 1 ? `${worst} +${over.length - 1}` : worst, isBad: true, isLive: false, title: over.length > 1 ? over.join(", ") : refused > 0 ? heldAndTurned(quota) : undefined };
  if (quota.silentLevel > 0) return { word: `${count(quota.silentLevel)} silent`, isBad: false, isLive: true };
  return undefined;
}

function Tile({ project, kind, quota, others, isOpen, series }: TileProps) {
  const since = seconds(quota.knownSince);
  const key = targetKey(quota.target);
  const firing = useFiringByKey();
  const fires = [quota, ...others].flatMap(({ target }) => firing.get(targetKey(target)) ?? []);
  const limit = quota.limit?.slots;
  const trouble = troubleOf(quota);
  const isFull = quota.risk === Risk.AT_LIMIT || quota.risk === Risk.OVER;
  return (
    <>
      <span className="flex items-baseline justify-between gap-2">
        <h2 className="min-w-0 text-muted">
          <button
            type="button"
            aria-expanded={isOpen}
            onClick={() => go({ open: isOpen ? "" : key, select: "" }, { replace: true })}
            className="text-left whitespace-nowrap after:absolute after:inset-0 hover:text-text aria-expanded:font-medium aria-expanded:text-blue"
          >
            {KIND_NAME[kind]}
          </button>
        </h2>
        <span className="flex items-baseline gap-2">
          {fires.map((one) => (
            <span key={one.key} className="relative z-10 self-center">
              <Bell firing={one} name={KIND_NAME[kind]} />
            </span>
          ))}
          {quota.risk !== Risk.OK && quota.risk !== Risk.UNSPECIFIED && <Now quota={quota} />}
        </span>
      </span>
      <p className="mt-0.5 flex items-baseline justify-between gap-2 leading-7">
        <span className={`text-[22px] font-semibold ${isFull ? "text-red" : ""}`}>
          {quota.covered ? <Peak level={quota.level} bound={quota.levelBound} /> : "—"}
          {limit !== undefined && <span className="text-[13px] font-normal text-muted"> of {count(limit)}</span>}
        </span>
        <WeekBadge week={quota.week} />
      </p>
      {series ? <Spark series={series} limit={limit} /> : <Skeleton className="h-6 w-full" />}
      <p className="mt-0.5 flex flex-wrap justify-between gap-x-2 text-muted">
        <span title={since ? `no data before ${moment(since)}` : undefined}>
          {quota.peak ? (
            <>
              peak{since && ` since ${day(since)}:`} <Peak level={quota.peak.level} bound={quota.peakBound} />, {moment(seconds(quota.peak.at) ?? 0)}
            </>
          ) : (
            "no peak yet"
          )}
        </span>
        {trouble && (
          <a
            href={trouble.isLive ? `/p/${encodeURIComponent(project)}/sessions?target=${key}` : `/p/${encodeURIComponent(project)}/quotas?open=${key}`}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              go(trouble.isLive ? { view: "sessions", rest: { target: key } } : { open: key, select: "" });
            }}
            title={trouble.title}
            className={`relative z-10 hover:underline ${trouble.isBad ? "text-red" : "text-amber"}`}
          >
            {trouble.word}
          </a>
        )}
      </p>
    </>
  );
}

const WIDTH = 220;
const HEIGHT = 24;
const CELLS = 110;

/** Seven days in a line of 24 pixels, with the limit. */
function Spark({ series, limit }: { series: Series; limit: number | undefined }) {
  const path = useMemo(() => {
    const cells = envelope(series.peak, CELLS);
    const most = Math.max(limit ?? 0, ...cells.map((cell) => cell?.high ?? 0), 1);
    const y = (level: number) => HEIGHT - 1 - (level / most) * (HEIGHT - 2);
    let line = "";
    let isUp = true;
    cells.forEach((cell, nth) => {
      if (!cell) {
        isUp = true;
        return;
      }
      const x = (nth / (CELLS - 1)) * WIDTH;
      line += `${isUp ? "M" : "L"}${x.toFixed(1)} ${y(cell.high).toFixed(1)}`;
      if (cell.low !== cell.high) line += `L${x.toFixed(1)} ${y(cell.low).toFixed(1)}`;
      isUp = false;
    });
    return { line, limit: limit === undefined ? undefined : y(limit) };
  }, [series, limit]);
  return (
    <svg aria-hidden="true" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="block h-6 w-full">
      {path.limit !== undefined && (
        <line x1={0} x2={WIDTH} y1={path.limit} y2={path.limit} className="stroke-muted" strokeDasharray="3 3" vectorEffect="non-scaling-stroke" />
      )}
      <path d={path.line} fill="none" className="stroke-fill" strokeWidth={1.2} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
