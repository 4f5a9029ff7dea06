// What is read at the minute that is looked at.
import { type Bound } from "../../gen/highwater/v1/types_pb";
import { boundOf, boundWord, signOf } from "../../lib/bound";
import { useCursor } from "../../lib/cursor";
import { MINUTE } from "../../lib/history";
import { count, minutesLong, moment } from "../../lib/time";
import { type Mark } from "./chart-marks";
import { type Line } from "./chart-paint";

/** More than these would not fit on the page. */
const MOST_VALUES = 40;
/** More than these reach beyond the chart: an edge tells them from what they lie over. */
const BESIDE_THE_CHART = 12;

interface Value {
  line: Line;
  level: number | null;
  limit: number | null;
  bound: Bound;
}

/** Every line at a minute: the pool first, and then the highest. */
function valuesAt(lines: Line[], at: number): Value[] {
  return lines
    .map((line) => {
      const nth = Math.floor((at - line.series.from) / line.series.step);
      const { peak, limit, partial, late } = line.series;
      return { line, level: peak[nth] ?? null, limit: limit[nth] ?? null, bound: boundOf(partial[nth] ?? false, late[nth] ?? false) };
    })
    .toSorted((a, b) => Number(b.line.isPool) - Number(a.line.isPool) || (b.level ?? -1) - (a.level ?? -1) || a.line.name.localeCompare(b.line.name));
}

/** "18 of 20 · 2 left". */
function said({ level, limit, bound }: Value): string {
  if (level === null) return "no data";
  const held = `${boundWord(bound)}${count(level)}`;
  if (limit === null) return `${held} · no limit`;
  return `${held} of ${count(limit)} · ${level > limit ? `${count(level - limit)} over` : `${count(limit - level)} left`}`;
}

const TONE = { fill: "text-text", amber: "text-amber", red: "text-red" };

interface Looked {
  section: string;
  lines: Line[];
  focus: string;
  /** The window that is shown: a minute that was pinned in another is not read in this one. */
  from: number;
  to: number;
}

const isIn = (at: number | null, { from, to }: Looked): at is number => at !== null && at >= from && at < to;

/** "Tue 14:03 · 18 of 20 · 2 left" of the line that stands out, and what happened then. */
export function Readout({ marks, near, ...looked }: Looked & { marks: Mark[]; near: number }) {
  const { section, lines, focus } = looked;
  const { at, pinned, section: of } = useCursor();
  if (!isIn(at, looked)) return <p className="h-6 contain-strict" data-readout={section} />;
  const values = valuesAt(lines, at);
  const main = values.find(({ line }) => line.key === focus) ?? values[0];
  const isNear = (mark: Mark) => mark.at - near <= at && at <= (mark.until ?? mark.at) + near;
  const isOfMain = (mark: Mark) => mark.of === undefined || mark.of === main?.line.key;
  const nameOf = (mark: Mark) => (isOfMain(mark) ? "" : `${lines.find(({ key }) => key === mark.of)?.name ?? ""}: `);
  const told = marks.filter((mark) => isNear(mark) && (isOfMain(mark) || main?.line.isPool));
  const happened = told.map((mark) => `${moment(mark.at)} ${nameOf(mark)}${mark.text}`);
  return (
    <p className="flex h-6 contain-strict gap-x-3 overflow-hidden leading-6 whitespace-nowrap" data-readout={section}>
      <strong className="shrink-0 font-medium" aria-live={of === section ? "polite" : "off"}>
        {moment(at)}
        {main && ` · ${said(main)}`}
      </strong>
      {main && (
        <span className="truncate text-muted">
          {main.line.name}
          {main.line.series.step > MINUTE && `, highest of ${minutesLong(main.line.series.step / MINUTE)}`}
        </span>
      )}
      {pinned && of === section && <span className="shrink-0 text-muted">pinned, Esc lets go</span>}
      {happened.length > 0 && (
        <span className="truncate" title={happened.join("\n")}>
          ▲ {happened.join("; ")}
        </span>
      )}
    </p>
  );
}

/** Every line at the minute, the highest first: in place of the labels of the chart that is looked at. */
export function Values(looked: Looked) {
  const { section, lines, focus } = looked;
  const { at, section: of } = useCursor();
  if (!isIn(at, looked) || of !== section) return null;
  const values = valuesAt(lines, at);
  const widest = Math.max(...lines.map(({ series }) => series.step));
  return (
    <ul
      aria-label={`Every model at ${moment(at)}`}
      className={`${values.length > BESIDE_THE_CHART ? "min-[792px]:border" : ""} pointer-events-none absolute top-0 right-0 z-20 contain-content min-h-[220px] w-[164px] bg-ground pt-2.5 pb-1 pl-1 text-[11px] leading-4 max-[791px]:static max-[791px]:grid max-[791px]:min-h-0 max-[791px]:w-full max-[791px]:grid-cols-2 max-[791px]:pb-2`}
    >
      {widest > MINUTE && <li className="pl-10 text-muted">highest of {minutesLong(widest / MINUTE)}</li>}
      {values.slice(0, MOST_VALUES).map(({ line, level, limit, bound }) => (
        <li key={line.key} className={`flex gap-2 ${line.key === focus ? "font-medium text-blue" : ""}`}>
          <span className={`w-8 shrink-0 text-right ${line.key === focus ? "" : level !== null && limit !== null && level >= limit ? "text-red" : TONE[line.tone]}`}>
            {level === null ? "–" : `${signOf(bound)}${count(level)}`}
          </span>
          <span className={`truncate ${line.key === focus ? "" : "text-muted"}`}>{line.name}</span>
        </li>
      ))}
      {values.length > MOST_VALUES && <li className="pl-10 text-muted">and {count(values.length - MOST_VALUES)} more</li>}
    </ul>
  );
}
