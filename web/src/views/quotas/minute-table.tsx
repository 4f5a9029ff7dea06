// The table behind a chart: the highest minute of each stretch of time, of every line.
import { highest, uncovered } from "../../lib/series";
import { count, minutesLong, moment } from "../../lib/time";
import { type Line, type Mark } from "./chart-paint";

export function MinuteTable({ label, lines, marks, from, to }: { label: string; lines: Line[]; marks: Mark[]; from: number; to: number }) {
  const wide = to - from > 2 * 86_400 ? 3_600 : to - from > 6 * 3_600 ? 600 : 60;
  const first = Math.floor(from / wide) * wide;
  const rows = Array.from({ length: Math.ceil((to - first) / wide) }, (_, nth) => first + nth * wide).toReversed();
  return (
    <div className="max-h-[244px] overflow-auto border-b" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full border-separate border-spacing-0">
        <caption className="sr-only">Highest level of each {minutesLong(wide / 60)}, and what happened</caption>
        <thead>
          <tr>
            <th scope="col" className="sticky top-0 border-b bg-ground px-2 text-left font-normal text-muted">
              From
            </th>
            {lines.map((line) => (
              <th key={line.key} scope="col" title={line.name} className="sticky top-0 max-w-40 truncate border-b bg-ground px-2 text-right font-normal text-muted">
                {line.name}
              </th>
            ))}
            <th scope="col" className="sticky top-0 border-b bg-ground px-2 text-left font-normal text-muted">
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
              {lines.map(({ key, series }) => {
                const nth = (at: number) => Math.floor((at - series.from) / series.step);
                const [first, end] = [nth(start), nth(start + wide)];
                const found = highest(series.peak, first, end);
                // Of a stretch that has begun: what was not covered makes its highest a lower bound.
                const isPart = uncovered({ peak: series.peak.slice(Math.max(first, 0), end), partial: series.partial.slice(Math.max(first, 0), end) }).length > 0;
                const [level, limit] = [series.peak[found], series.limit[found]];
                return (
                  <td key={key} className={`px-2 text-right ${isPart ? "hatch" : ""} ${level != null && limit != null && level >= limit ? "text-red" : ""}`}>
                    {level == null ? "no data" : isPart ? <abbr title="Partly covered: a lower bound" className="no-underline">≥ {count(level)}</abbr> : count(level)}
                  </td>
                );
              })}
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
