// A chart with what is read on it, the table behind it, and the plan that is made on it.
import { useMemo, useState } from "react";

import { type Quota, Annotation_Happening as Happening } from "../../gen/highwater/v1/quota_pb";
import { type Target } from "../../gen/highwater/v1/types_pb";
import { useAddress, windowOf } from "../../lib/address";
import { useAnnotations } from "../../lib/annotations";
import { MINUTE, stepOf, useHistory, useSharp } from "../../lib/history";
import { words } from "../../lib/service";
import { KIND_NAME, accountOf, isPool, kindOf, nameOf, ofAccount, seconds, targetKey, targetOf } from "../../lib/target";
import { count, minutesLong, moment } from "../../lib/time";
import { Failed } from "../../parts/failed";
import { Skeleton } from "../../parts/skeleton";
import { Chart } from "./chart";
import { type Mark } from "./chart-marks";
import { type Line } from "./chart-paint";
import { MinuteTable } from "./minute-table";
import { Readout, Values } from "./readout";
import { toneOf } from "./standing";
import { WhatIf } from "./what-if";

interface Props {
  project: string;
  section: string;
  name: string;
  quotas: Quota[];
  selected: string;
  preview: string;
  percent: boolean;
  asTable: boolean;
  stale: boolean;
  edits: boolean;
  onSelect: (key: string) => void;
  onPreview: (key: string) => void;
  onRequest: (quota: Quota, wanted?: number) => void;
}

/** An alert is marked where it began, for as long as it fired, and where it ended: "Alert: up to 20 of 20". */
function alertMarks(start: number, until: number | undefined, text: string): Mark[] {
  const began = { at: start, until: until ?? Date.now() / 1_000, text: `${text}, ${until === undefined ? "fires still" : `until ${moment(until)}`}`, isOutage: true };
  return until === undefined ? [began] : [began, { at: until, text: text.replace(/^Alert:/, "Alert ended:"), isEnd: true }];
}

/** Marks this near to the minute that is looked at are read with it, in seconds: some pixels, a quarter of an hour at most. */
const nearOf = (from: number, to: number): number => Math.min(Math.max((to - from) / 600, 2 * MINUTE), 900);

export function ChartPanel(props: Props) {
  const { project, section, name, quotas, selected, preview, percent, stale } = props;
  const { range } = useAddress();
  const [dragged, setDragged] = useState<{ key: string; slots: number } | null>(null);
  const keys = quotas.map((quota) => targetKey(quota.target)).join("\n");
  const targets = useMemo(() => keys.split("\n").map(targetOf).filter((target): target is Target => target !== undefined), [keys]);
  const { from, to } = windowOf(range, Date.now() / 1_000);
  const step = stepOf(targets, range);
  const history = useHistory(project, targets, range, step);
  // What is read without looking for it, and what is looked at: exact at every minute, however many lines there are.
  const pools = useSharp(project, useMemo(() => targets.filter(isPool), [targets]), range, step);
  const lit = useSharp(project, useMemo(() => targets.filter((target) => targetKey(target) === selected && !isPool(target)), [targets, selected]), range, step);
  const happened = useAnnotations(project, range, targets);
  const marks = useMemo<Mark[]>(() => {
    const own = new Set(keys.split("\n"));
    return (happened.data ?? [])
      .filter(({ target }) => !target || own.has(targetKey(target)))
      .flatMap((mark) => {
        const [start, until] = [seconds(mark.startTime) ?? 0, seconds(mark.endTime)];
        const of = mark.target && targetKey(mark.target);
        if (mark.happening === Happening.ALERT) return alertMarks(start, until, mark.text).map((alert) => ({ ...alert, of }));
        return [{ at: start, until, of, text: mark.text, isOutage: mark.happening === Happening.OUTAGE, isRoute: mark.happening === Happening.ROUTE }];
      });
  }, [happened.data, keys]);
  const tones = quotas.map((quota) => `${targetKey(quota.target)} ${toneOf(quota)} ${nameOf(quota)} ${seconds(quota.knownSince)}`).join("\n");
  const lines = useMemo<Line[]>(() => {
    const found: Line[] = [];
    for (const quota of quotas) {
      const key = targetKey(quota.target);
      const series = pools?.get(key) ?? lit?.get(key) ?? history.data?.get(key);
      const isAll = isPool(quota.target);
      const called = isAll ? `All ${KIND_NAME[kindOf(quota.target)]}${ofAccount(quota)}` : nameOf(quota);
      if (series) found.push({ key, name: called, series, since: seconds(quota.knownSince), isPool: isAll, tone: toneOf(quota) });
    }
    // The pool below, those at risk above the others.
    const order = { fill: 0, amber: 1, red: 2 };
    return found.toSorted((a, b) => Number(b.isPool) - Number(a.isPool) || order[a.tone] - order[b.tone]);
    // What is drawn of a quota is in its tone: a level that changed draws nothing anew.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [tones, history.data, pools, lit]);
  const chosen = quotas.find((quota) => targetKey(quota.target) === selected);
  const slots = dragged && dragged.key === selected ? dragged.slots : null;
  const without = percent ? lines.filter(({ series }) => series.limit.every((limit) => limit === null)) : [];
  return (
    <>
      <Readout section={section} lines={lines} focus={selected || preview} from={from} to={to} marks={marks} near={nearOf(from, to)} />
      {history.isError ? (
        <div className="min-h-[220px]">
          <Failed what={`The history of ${name}`} error={history.error} retry={() => void history.refetch()} />
        </div>
      ) : !history.data ? (
        <Skeleton className="h-[220px] w-full" />
      ) : props.asTable ? (
        <MinuteTable label={`The chart of ${name} as a table`} lines={lines} marks={marks} from={from} to={to} percent={percent} />
      ) : (
        <div className={`relative min-h-[220px] ${stale ? "opacity-60 grayscale" : ""}`}>
          <Chart
            section={section}
            label={`Chart of ${name}: ${step > MINUTE ? `peaks of ${minutesLong(step / MINUTE)}` : "minute peaks"} and limits`}
            lines={lines}
            marks={marks}
            from={from}
            to={to}
            focus={selected || preview}
            selected={selected}
            percent={percent}
            onSelect={(key) => {
              setDragged(null);
              props.onSelect(key);
            }}
            onPreview={props.onPreview}
            handle={
              chosen?.limit && !percent && !stale
                ? {
                    slots: slots ?? chosen.limit.slots,
                    name: nameOf(chosen),
                    onMove: (next) => setDragged(next === null ? null : { key: selected, slots: next }),
                  }
                : null
            }
          />
          <Values section={section} lines={lines} focus={selected || preview} from={from} to={to} />
        </div>
      )}
      {step > MINUTE && history.data && !props.asTable && (
        <p className="text-muted">
          {count(targets.length)} lines: each point is the highest of {minutesLong(step / MINUTE)}, its shade reaches down to the lowest. The whole, and what is selected, are exact at each minute.
        </p>
      )}
      {without.length > 0 && <p className="text-muted">Without a limit, and not drawn as a share of one: {without.map((line) => line.name).join(", ")}.</p>}
      {happened.isError && (
        <p className="text-muted">
          Marks of changes and outages could not be read. {words(happened.error)}{" "}
          <button type="button" className="text-blue hover:underline" onClick={() => void happened.refetch()}>
            Retry
          </button>
        </p>
      )}
      {chosen && slots !== null && (
        <WhatIf
          project={project}
          quota={chosen}
          slots={slots}
          pool={quotas.find((quota) => isPool(quota.target) && accountOf(quota) === accountOf(chosen))}
          meters={quotas.filter((quota) => !isPool(quota.target) && accountOf(quota) === accountOf(chosen))}
          edits={props.edits}
          onMove={(next) => setDragged({ key: selected, slots: next })}
          onRequest={() => props.onRequest(chosen, slots)}
          onDone={() => setDragged(null)}
        />
      )}
    </>
  );
}
