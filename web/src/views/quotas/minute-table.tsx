// The table behind a chart: the highest minute of each stretch of time, of every line.
import { highest, uncovered } from "../../lib/series";
import { count, minutesLong, moment } from "../../lib/time";
import { type Mark } from "./chart-marks";
import { type Line, drawn } from "./chart-paint";

interface Props {
  label: string;
  lines: Line[];
  marks: Mark[];
  from: number;
  to: number;
  /** The chart is of shares of each line's limit: these stand beside the levels. */
  percent: boolean;
}

export function MinuteTable({ label, lines, marks, from, to, percent }: Props) {
  const wide = to - from > 2 * 86_400 ? 3_600 : to - from > 6 * 3_600 ? 600 : 60;
  const first = Math.floor(from / wide) * wide;
  const rows = Array.from({ length: Math.ceil((to - first) / wide) }, (_, nth) => first + nth * wide).toReversed();
  const head = "sticky top-0 border-b bg-ground px-2 align-bottom font-normal text-muted";
  return (
    <div className="max-h-[244px] overflow-auto border-b" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full border-separate border-spacing-0">
        <caption className="sr-only">
          Highest level of each {minutesLong(wide / 60)}
          {percent && ", with its share of the limit in force then"}, and what happened
        </caption>
        <thead>
          <tr>
            <th scope="col" className={`${head} text-left whitespace-nowrap`}>
              {wide > 60 ? `Highest of ${minutesLong(wide / 60)} from` : "Minute"}
            </th>
            {lines.map((line) => (
              <th key={line.key} scope="col" title={line.name} className={`${head} max-w-44 text-right`}>
                <span className="block truncate">{line.name}</span>
                {percent && <span className="block text-[11px] leading-4 whitespace-nowrap">held · % of limit</span>}
              </th>
            ))}
            <th scope="col" className={`${head} text-left whitespace-nowrap`}>
              What happened
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((start) => (
            <tr key={start}>
              <th scope="row" className="px-2 text-left font-normal whitespace-nowrap">
                {moment(start)}
              </th>
              {lines.map((line) => (
                <Cell key={line.key} line={line} start={start} end={start + wide} percent={percent} />
              ))}
              <td className="max-w-80 truncate px-2 text-muted">
                {marks
                  .filter(({ at }) => start <= at && at < start + wide)
                  .map(({ text }) => text)
                  .join("; ")}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** "18", and "18 · 90 %" beside shares. */
function Cell({ line: { series }, start, end, percent }: { line: Line; start: number; end: number; percent: boolean }) {
  const nth = (at: number) => Math.floor((at - series.from) / series.step);
  const [first, last] = [nth(start), nth(end)];
  const found = highest(series.peak, first, last);
  // Of a stretch that has begun: what was not covered makes its highest a lower bound.
  const isPart = uncovered({ peak: series.peak.slice(Math.max(first, 0), last), partial: series.partial.slice(Math.max(first, 0), last) }).length > 0;
  const [level, limit] = [series.peak[found], series.limit[found]];
  const share = drawn(level, limit, true);
  return (
    <td className={`px-2 text-right whitespace-nowrap ${isPart ? "hatch" : ""} ${level != null && limit != null && level >= limit ? "text-red" : ""}`}>
      {level == null ? "no data" : isPart ? <abbr title="Partly covered: a lower bound" className="no-underline">≥ {count(level)}</abbr> : count(level)}
      {percent && level != null && <span className="text-muted"> · {share === null ? "no limit" : `${count(Math.round(share))} %`}</span>}
    </td>
  );
}
