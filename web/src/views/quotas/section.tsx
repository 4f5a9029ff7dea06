// A model type: its head, its chart and its table, tied together.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { type Kind, type Target } from "../../gen/highwater/v1/types_pb";
import { go, useAddress, windowOf } from "../../lib/address";
import { useCursor } from "../../lib/cursor";
import { useHistory } from "../../lib/history";
import { whatIf } from "../../lib/series";
import { limits, quotas as service, words } from "../../lib/service";
import { KIND_NAME, isPool, seconds, targetKey, targetOf } from "../../lib/target";
import { count, minutesLong, moment } from "../../lib/time";
import { Button } from "../../parts/button";
import { Failed } from "../../parts/failed";
import { Skeleton } from "../../parts/skeleton";
import { AssignDialog } from "./assign-dialog";
import { Chart, CHART_HEIGHT, type Line } from "./chart";
import { Detail } from "./detail";
import { toneOf } from "./standing";
import { QuotaTable } from "./table";

/** Limits that differ more than this are drawn as shares of themselves. */
const FOURFOLD = 4;

interface Props {
  project: string;
  kind: Kind;
  /** Its pools and meters. */
  quotas: Quota[];
  stale: boolean;
  edits: boolean;
  onRequest: (quota: Quota, wanted?: number) => void;
  onSetLimit: (quota: Quota, slots?: number) => void;
}

export function Section({ project, kind, quotas, stale, edits, onRequest, onSetLimit }: Props) {
  const { range, select, open, filter } = useAddress();
  const [preview, setPreview] = useState("");
  const [dragged, setDragged] = useState<{ key: string; slots: number } | null>(null);
  const [asPercent, setAsPercent] = useState<boolean | null>(null);
  const [assigns, setAssigns] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const pools = quotas.filter((quota) => isPool(quota.target));
  const meters = useMemo(() => quotas.filter((quota) => !isPool(quota.target)), [quotas]);
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    return meters.filter((quota) => `${quota.displayName} ${quota.target?.target.value?.model}`.toLowerCase().includes(wanted));
  }, [meters, filter]);
  const keys = quotas.map((quota) => targetKey(quota.target)).join("\n");
  const targets = useMemo(() => keys.split("\n").map(targetOf).filter((target): target is Target => target !== undefined), [keys]);
  const history = useHistory(project, targets, range);
  const { from, to } = windowOf(range, Date.now() / 1_000);
  const marks = useQuery({
    queryKey: ["annotations", project, keys, JSON.stringify(range)],
    queryFn: () =>
      service.listAnnotations({ project, targets, startTime: { seconds: BigInt(from), nanos: 0 }, endTime: { seconds: BigInt(to), nanos: 0 } }),
    staleTime: 30_000,
    retry: false,
  });
  const markList = useMemo(
    () => (marks.data?.annotations ?? []).map((mark) => ({ at: seconds(mark.startTime) ?? 0, text: mark.text })),
    [marks.data],
  );
  const tones = quotas.map((quota) => `${targetKey(quota.target)} ${toneOf(quota)} ${quota.displayName}`).join("\n");
  const lines = useMemo<Line[]>(() => {
    const found: Line[] = [];
    for (const quota of quotas) {
      const key = targetKey(quota.target);
      const series = history.data?.get(key);
      if (series) found.push({ key, name: isPool(quota.target) ? `All ${KIND_NAME[kind]}` : quota.displayName, series, isPool: isPool(quota.target), tone: toneOf(quota) });
    }
    // The pool below, those at risk above the others.
    const order = { fill: 0, amber: 1, red: 2 };
    return found.toSorted((a, b) => Number(b.isPool) - Number(a.isPool) || order[a.tone] - order[b.tone]);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [tones, history.data, kind]);
  const limitsOf = meters.map((quota) => quota.limit?.slots ?? 0).filter((slots) => slots > 0);
  const differs = limitsOf.length > 1 && Math.max(...limitsOf) > FOURFOLD * Math.min(...limitsOf);
  const percent = asPercent ?? (differs && !select);
  const mine = (key: string) => quotas.find((quota) => targetKey(quota.target) === key);
  const selected = mine(select) ? select : "";
  const chosen = mine(selected);
  const drag = dragged && dragged.key === selected ? dragged.slots : null;
  const select_ = (key: string) => {
    setDragged(null);
    go({ select: key }, { replace: true });
  };
  return (
    <section aria-label={KIND_NAME[kind]} className="mt-8">
      <Head kind={kind} pools={pools} meters={meters} onAssign={() => setAssigns(true)}>
        {limitsOf.length > 0 && (
          <Button look="quiet" aria-pressed={percent} onClick={() => setAsPercent(!percent)}>
            {percent ? "Show slots" : "Show % of limit"}
          </Button>
        )}
        <Button look="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? "Show chart" : "Show as table"}
        </Button>
      </Head>
      <Readout section={String(kind)} lines={lines} focus={selected || preview} marks={markList} />
      {history.isError ? (
        <Failed what={`The history of ${KIND_NAME[kind]}`} error={history.error} retry={() => void history.refetch()} />
      ) : history.isPending ? (
        <div className="h-[220px]">
          <Skeleton className="h-full w-full" />
        </div>
      ) : asTable ? (
        <MinuteTable lines={lines} from={from} to={to} />
      ) : (
        <div ref={(element) => void (element && (element.style.minHeight = `${CHART_HEIGHT}px`))} className={stale ? "opacity-60" : ""}>
          <Chart
            section={String(kind)}
            label={`Chart of ${KIND_NAME[kind]}: minute peaks and limits`}
            lines={lines}
            marks={markList}
            from={from}
            to={to}
            focus={selected || preview}
            selected={selected}
            percent={percent}
            onSelect={select_}
            onPreview={setPreview}
            handle={
              chosen?.limit && !percent
                ? {
                    slots: drag ?? chosen.limit.slots,
                    name: chosen.displayName,
                    onMove: (slots) => setDragged(slots === null ? null : { key: selected, slots }),
                  }
                : null
            }
          />
        </div>
      )}
      {marks.isError && <p className="text-muted">Marks of changes and outages could not be read: {words(marks.error)}</p>}
      {chosen && drag !== null && drag !== chosen.limit?.slots && (
        <Planned
          quota={chosen}
          slots={drag}
          line={lines.find(({ key }) => key === selected)}
          pool={pools[0]}
          meters={meters}
          edits={edits}
          project={project}
          onRequest={() => onRequest(chosen, drag)}
          onDone={() => setDragged(null)}
        />
      )}
      {shown.length > 0 ? (
        <QuotaTable
          label={`Models of ${KIND_NAME[kind]}`}
          quotas={shown}
          selected={selected}
          preview={preview}
          opened={open}
          stale={stale}
          edits={edits}
          actions={{
            select: select_,
            preview: setPreview,
            open: (key) => go({ open: key, ...(key && { select: key }) }, { replace: true }),
            request: (quota) => onRequest(quota),
            setLimit: (quota) => onSetLimit(quota),
          }}
          detail={(quota) => (
            <Detail project={project} quota={quota} edits={edits} onRequest={() => onRequest(quota)} onSetLimit={() => onSetLimit(quota)} />
          )}
        />
      ) : (
        <p className="py-2 text-muted">{meters.length > 0 ? `No model of ${KIND_NAME[kind]} has “${filter}” in its name.` : "No model was reported yet."}</p>
      )}
      {assigns && (
        <AssignDialog
          project={project}
          kind={kind}
          account={pools[0]?.target?.target.value?.account ?? ""}
          edits={edits}
          onClose={() => setAssigns(false)}
        />
      )}
    </section>
  );
}

function Head({ kind, pools, meters, onAssign, children }: { kind: Kind; pools: Quota[]; meters: Quota[]; onAssign: () => void; children: React.ReactNode }) {
  const pool = pools[0];
  const assigned = meters.reduce((sum, quota) => sum + (quota.limit?.slots ?? 0), 0);
  return (
    <header className="flex flex-wrap items-baseline gap-x-3 gap-y-1 border-b pb-1">
      <h2 className="text-[15px] font-semibold">{KIND_NAME[kind]}</h2>
      {pool && (
        <p className="text-muted">
          <span className="text-text">
            {pool.covered ? count(pool.level) : "—"}
            {pool.limit ? ` of ${count(pool.limit.slots)}` : " held, no limit on the pool"}
          </span>
          {assigned > 0 && (
            <>
              {" · "}
              <button type="button" className={`hover:underline ${pool.limit && assigned > pool.limit.slots ? "text-amber" : "text-blue"}`} onClick={onAssign}>
                assigned {count(assigned)}
              </button>
            </>
          )}
          {pool.peak && (
            <>
              {" · "}peak {count(pool.peak.level)}, {moment(seconds(pool.peak.at) ?? 0)}
            </>
          )}
          {pools.slice(1).map((other) => (
            <span key={targetKey(other.target)}>
              {" · "}
              {other.target?.target.value?.account}: {count(other.level)}
              {other.limit ? ` of ${count(other.limit.slots)}` : ""}
            </span>
          ))}
          {pool.minutesCovered > 0 && pool.minutesCovered < 10_000 && pool.peak && <> · {minutesLong(pool.minutesCovered)} of data in 7 days</>}
        </p>
      )}
      <span className="ml-auto flex gap-1">
        {assigned === 0 && meters.length > 0 && (
          <Button look="quiet" onClick={onAssign}>
            Assign
          </Button>
        )}
        {children}
      </span>
    </header>
  );
}

/** What is read at the minute that is looked at: of the line that stands out, and of all, the highest first. */
function Readout({ section, lines, focus, marks }: { section: string; lines: Line[]; focus: string; marks: { at: number; text: string }[] }) {
  const { at, pinned, section: of } = useCursor();
  if (at === null) return <p className="h-6 truncate leading-6 text-faint">Hover the chart to read a minute, click a line to select it, drag to zoom.</p>;
  const values = lines
    .map((line) => {
      const nth = Math.round((at - line.series.from) / line.series.step);
      return { line, level: line.series.peak[nth] ?? null, limit: line.series.limit[nth] ?? null, partial: line.series.partial[nth] ?? false };
    })
    .toSorted((a, b) => Number(b.line.isPool) - Number(a.line.isPool) || (b.level ?? -1) - (a.level ?? -1));
  const main = values.find(({ line }) => line.key === focus) ?? values.find(({ line }) => line.isPool) ?? values[0];
  const near = marks.filter((mark) => Math.abs(mark.at - at) <= 1_800).map((mark) => mark.text);
  const said = (value: (typeof values)[number]) =>
    value.level === null
      ? "no data"
      : value.limit === null
        ? `${value.partial ? "at least " : ""}${count(value.level)}`
        : `${value.partial ? "at least " : ""}${count(value.level)} of ${count(value.limit)} · ${value.level > value.limit ? `${count(value.level - value.limit)} over` : `${count(value.limit - value.level)} left`}`;
  return (
    <p className="flex h-6 gap-x-4 overflow-hidden leading-6 whitespace-nowrap" data-readout={section}>
      <strong className="font-medium" aria-live={of === section ? "polite" : "off"}>
        {moment(at)}
        {main && ` · ${said(main)}`}
        {pinned && <span className="font-normal text-muted"> (pinned)</span>}
      </strong>
      {near.length > 0 && <span className="truncate text-violet">{near.join("; ")}</span>}
      <span className="truncate text-muted">
        {values
          .filter((value) => value !== main)
          .map((value) => `${value.line.name} ${value.level === null ? "–" : count(value.level)}`)
          .join("   ")}
      </span>
    </p>
  );
}

interface PlannedProps {
  project: string;
  quota: Quota;
  slots: number;
  line: Line | undefined;
  pool: Quota | undefined;
  meters: Quota[];
  edits: boolean;
  onRequest: () => void;
  onDone: () => void;
}

/** What the limit that is dragged would have meant. */
function Planned({ project, quota, slots, line, pool, meters, edits, onRequest, onDone }: PlannedProps) {
  const [problem, setProblem] = useState("");
  const found = line && whatIf(line.series, slots);
  const key = targetKey(quota.target);
  const sum = meters.reduce((all, of) => all + (targetKey(of.target) === key ? slots : (of.limit?.slots ?? 0)), 0);
  const apply = async () => {
    try {
      if (quota.target) await limits.setLimit({ project, target: quota.target, slots, reason: "planned on the page", setBy: "page" });
      onDone();
    } catch (error) {
      setProblem(words(error));
    }
  };
  return (
    <div role="status" className="my-2 flex flex-wrap items-center gap-3 rounded-[4px] border border-blue bg-blue-tint px-3 py-1.5">
      <span>
        <strong className="font-medium">At {count(slots)}</strong>: {found ? `${minutesLong(found.full)} full, ${minutesLong(found.near)} at or above 90 % in this window` : "no history"}
        {!isPool(quota.target) && pool?.limit && (
          <span className={sum > pool.limit.slots ? "text-red" : ""}>
            ; pool {count(sum)} of {count(pool.limit.slots)}
          </span>
        )}
      </span>
      <span className="ml-auto flex gap-2">
        {edits && <Button onClick={() => void apply()}>Apply {count(slots)}</Button>}
        {quota.limit && slots > quota.limit.slots && (
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

/** The table behind the chart: each hour's highest minute of each line. */
function MinuteTable({ lines, from, to }: { lines: Line[]; from: number; to: number }) {
  const width = to - from > 2 * 86_400 ? 3_600 : to - from > 6 * 3_600 ? 600 : 60;
  const rows = Array.from({ length: Math.ceil((to - from) / width) }, (_, nth) => from + nth * width);
  return (
    <div className="max-h-[320px] overflow-auto border-b" tabIndex={0} role="region" aria-label="The chart as a table">
      <table className="w-full">
        <caption className="sr-only">Highest minute of each {minutesLong(width / 60)}</caption>
        <thead className="sticky top-0 bg-ground">
          <tr className="border-b">
            <th scope="col" className="px-2 text-left font-normal text-muted">
              From
            </th>
            {lines.map((line) => (
              <th key={line.key} scope="col" className="max-w-40 truncate px-2 text-right font-normal text-muted">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map((start) => (
            <tr key={start}>
              <th scope="row" className="px-2 text-left font-normal whitespace-nowrap">
                {moment(start)}
              </th>
              {lines.map(({ key, series }) => {
                const a = Math.floor((start - series.from) / series.step);
                const cells = series.peak.slice(Math.max(a, 0), Math.max(a + width / series.step, 0)).filter((level) => level !== null);
                return (
                  <td key={key} className="px-2 text-right">
                    {cells.length ? count(Math.max(...cells)) : "–"}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
