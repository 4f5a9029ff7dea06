// How the chart of a section is drawn: lines over the bands of their minutes, limits, gaps, and where labels stand.
import uPlot from "uplot";

import { go } from "../../lib/address";
import { type Series, spread, uncovered } from "../../lib/series";
import { band, crest, reachOf, stretches } from "../../lib/trace";
import { clock, count, moment } from "../../lib/time";
import { type Mark, type PlacedMark, drawMarks, placed } from "./chart-marks";

const CHART_HEIGHT = 220;
const LABEL_HEIGHT = 16;
const MOST_LABELS = 12;

export interface Line {
  key: string;
  name: string;
  series: Series;
  /** Since when anything is known of it, in seconds, where that is within the last seven days. */
  since?: number | undefined;
  isPool: boolean;
  /** A token of the style sheet: what its state is. */
  tone: "fill" | "amber" | "red";
}

export interface ChartProps {
  section: string;
  label: string;
  lines: Line[];
  marks: Mark[];
  from: number;
  to: number;
  /** The line that stands out: selected, or else previewed. */
  focus: string;
  selected: string;
  /** As shares of each line's limit. */
  percent: boolean;
  onSelect: (key: string) => void;
  onPreview: (key: string) => void;
  /** The selected limit, when it may be moved, and where it is moved to. */
  handle: { slots: number; name: string; onMove: (slots: number | null) => void } | null;
}

/** A level as it is drawn. */
export function drawn(value: number | null | undefined, limit: number | null | undefined, percent: boolean): number | null {
  if (value == null) return null;
  if (!percent) return value;
  return limit ? (value / limit) * 100 : null;
}

/** How the chart is drawn; what changes while it is there is read from `latest`. */
export function options(
  latest: React.RefObject<ChartProps>,
  width: number,
  gutter: number,
  tones: Record<string, string>,
  setLabels: (labels: { key: string; name: string; top: number; tone: string }[]) => void,
  setHandleTop: (top: number | null) => void,
  setMarks: (marks: PlacedMark[]) => void,
  traced: Map<string, Path2D>,
): uPlot.Options {
  const tone = (name: string): string => tones[name] ?? "#888";
  const of = () => latest.current;
  const stroke = (line: Line): string =>
    line.key === of().selected
      ? tone("blue")
      : line.tone !== "fill"
        ? tone(line.tone)
        : line.isPool
          ? tone("text")
          : tone("fill");
  const font = "11px ui-sans-serif, system-ui, sans-serif";
  return {
    width,
    height: CHART_HEIGHT,
    padding: [10, gutter, 0, 0],
    legend: { show: false },
    cursor: { show: true, x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 5 } },
    scales: {
      x: { time: true },
      y: {
        range: () => {
          const { lines, selected, percent, handle, from, to } = of();
          const shown = lines.filter(({ key }) => !selected || key === selected);
          let top = percent ? 100 : 4;
          for (const { key, series, isPool, tone: state } of shown) {
            const start = Math.max(0, Math.floor((from - series.from) / series.step));
            const end = Math.ceil((to - series.from) / series.step);
            // The limit is stepped through its history: each step of it is in sight.
            const hasLimit = !percent && (key === selected || isPool || state !== "fill");
            for (let nth = start; nth < Math.min(end, series.peak.length); nth++) {
              top = Math.max(top, drawn(series.peak[nth], series.limit[nth], percent) ?? 0, (hasLimit && series.limit[nth]) || 0);
            }
            if (hasLimit) top = Math.max(top, series.limit.at(-1) ?? 0);
          }
          // Room above the limit to drag it into.
          if (handle && !percent) top = Math.max(top, (seriesOf(lines, selected)?.limit.at(-1) ?? 0) * 1.25, handle.slots * 1.1);
          return [0, top * 1.08];
        },
      },
    },
    axes: [
      {
        stroke: tone("muted"),
        font,
        grid: { show: false },
        ticks: { stroke: tone("line"), width: 1, size: 4 },
        size: 26,
        gap: 4,
        space: 84,
        values: (u, splits) => {
          const span = (u.scales["x"]?.max ?? 0) - (u.scales["x"]?.min ?? 0);
          return splits.map((at) => {
            const isMidnight = new Date(at * 1_000).getHours() === 0 && new Date(at * 1_000).getMinutes() === 0;
            if (span > 3 * 86_400 || isMidnight) return isMidnight || span > 3 * 86_400 ? moment(at, at).replace(" 00:00", "") : clock(at);
            return clock(at);
          });
        },
      },
      {
        stroke: tone("muted"),
        font,
        grid: { stroke: tone("line"), width: 1 },
        ticks: { show: false },
        size: 48,
        gap: 8,
        space: 44,
        incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7],
        values: (_, splits) => splits.map((level) => (of().percent ? `${count(level)} %` : compact(level))),
      },
    ],
    series: [
      {},
      ...of().lines.map((line) => ({
        stroke: () => stroke(line),
        fill: () => `${stroke(line)}59`,
        width: line.isPool ? 1.5 : 1,
        points: { show: false },
        paths: pathsOf(latest, line.key, traced),
      })),
    ],
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          const [start, end] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          const whole = (at: number) => Math.round(at / 60) * 60;
          if (whole(end) - whole(start) >= 120) go({ range: { from: whole(start), to: whole(end) } });
        },
      ],
      drawClear: [(u) => drawGaps(u, of(), tone("line"), tone("muted"))],
      drawAxes: [
        (u) => {
          const { lines, selected: lit } = of();
          lines.forEach((line, nth) => {
            const series = u.series[nth + 1];
            if (!series) return;
            series.width = line.key === lit ? 2 : line.isPool ? 1.5 : 1;
            series.alpha = lit && line.key !== lit ? 0.25 : 1;
          });
          // Of the line that stands out; else of the pool, and of those at risk.
          const shown = lit ? lines.filter(({ key }) => key === lit) : lines.filter(({ isPool, tone: state }) => isPool || state !== "fill");
          for (const line of shown) drawLimit(u, line, of(), tone);
        },
      ],
      draw: [
        (u) => {
          drawMarks(u, of(), tone);
          const marks = placed(u, of());
          queueMicrotask(() => setMarks(marks));
          const { lines, selected, percent, handle } = of();
          setHandleTop(handle && !percent ? u.over.offsetTop + u.valToPos(handle.slots, "y") : null);
          // Labels stand where their lines end.
          const order = lines
            .filter((line) => line.series.peak.length > 0)
            .toSorted((a, b) => importance(b, selected) - importance(a, selected))
            .slice(0, MOST_LABELS);
          const wanted = order.map(({ series }) => {
            const last = series.peak.findLastIndex((value) => value !== null);
            const value = drawn(series.peak[last], series.limit[last], percent) ?? 0;
            return u.over.offsetTop + Math.min(Math.max(u.valToPos(value, "y"), 0), u.over.offsetHeight) - LABEL_HEIGHT / 2;
          });
          const tops = spread(wanted, LABEL_HEIGHT, CHART_HEIGHT - 20);
          const next = order.map((line, nth) => ({
            key: line.key,
            name: line.name,
            top: tops[nth] ?? 0,
            tone: line.tone === "red" ? "text-red" : line.tone === "amber" ? "text-amber" : line.isPool ? "text-text font-medium" : "text-muted",
          }));
          queueMicrotask(() => setLabels(next));
        },
      ],
    },
  };
}

/** Draws the line that is previewed over the others, on a layer of its own: they are not painted anew while the pointer moves. */
export function drawPreview(canvas: HTMLCanvasElement, u: uPlot, of: ChartProps, line: Line | undefined, path: Path2D | undefined, tone: (name: string) => string) {
  const isShown = line !== undefined && path !== undefined;
  // Until the first line is shown on it it has no size, and costs nothing.
  if (!isShown && canvas.width === 0) return;
  const ctx = canvas.getContext("2d");
  if (!ctx) return;
  if (canvas.width !== u.ctx.canvas.width || canvas.height !== u.ctx.canvas.height) {
    canvas.width = u.ctx.canvas.width;
    canvas.height = u.ctx.canvas.height;
  } else {
    ctx.clearRect(0, 0, canvas.width, canvas.height);
  }
  if (!isShown) return;
  drawLimit(u, line, of, tone, ctx);
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = tone("blue");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.lineJoin = "round";
  ctx.stroke(path);
  ctx.restore();
}

/** A line of the highest minutes, over the band from the lowest of each pixel. Lines may have points of different widths. */
const pathsOf =
  (latest: React.RefObject<ChartProps>, key: string, traced: Map<string, Path2D>): uPlot.Series.PathBuilder =>
  (u, nth) => {
    const stroke = new Path2D();
    const fill = new Path2D();
    const { lines, percent } = latest.current;
    const series = seriesOf(lines, key);
    if (!series) return null;
    const { from, step, low, limit } = series;
    const { min = from, max = from } = u.scales["x"] ?? {};
    const left = u.valToPos(from, "x", true);
    const pitch = u.valToPos(from + step, "x", true) - left;
    const zero = u.valToPos(0, "y", true);
    const tall = zero - u.valToPos(1, "y", true);
    const y = (value: number) => zero - value * tall;
    const [first, last] = [Math.floor(((min ?? from) - from) / step) - 1, Math.ceil(((max ?? from) - from) / step) + 1];
    const lowest = percent && low ? low.map((level, at) => drawn(level, limit[at], true)) : low;
    const found = stretches(u.data[nth] ?? [], first, last, { left, pitch }, lowest);
    crest(stroke, found, y);
    band(fill, found, y, reachOf({ left, pitch }));
    traced.set(key, stroke);
    return { stroke, fill, flags: 0 };
  };

const importance = (line: Line, selected: string): number =>
  (line.key === selected ? 8 : 0) + (line.isPool ? 4 : 0) + (line.tone === "red" ? 2 : line.tone === "amber" ? 1 : 0);

export const seriesOf = (lines: Line[], key: string): Series | undefined => lines.find((line) => line.key === key)?.series;

const compact = (level: number): string => (level >= 10_000 ? `${count(level / 1_000)}k` : count(level));

/** So wide is the hatch of a single minute at least, in pixels: it is seen in a week. */
const LEAST_HATCH_PX = 3;

/** Hatched where nothing is known, or not all. */
function drawGaps(u: uPlot, { lines, to, selected }: ChartProps, line: string, muted: string) {
  const reference = lines.find(({ key }) => key === selected) ?? lines.find(({ isPool }) => isPool) ?? lines[0];
  if (!reference) return;
  const { series } = reference;
  const now = Math.min(to, Date.now() / 1_000);
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = line;
  ctx.lineWidth = devicePixelRatio;
  for (const [start, end] of uncovered(series)) {
    const [a, b] = [series.from + start * series.step, Math.min(series.from + end * series.step, now)];
    const x0 = Math.max(u.valToPos(a, "x", true), left);
    const x1 = Math.min(Math.max(u.valToPos(b, "x", true), x0 + LEAST_HATCH_PX * devicePixelRatio), left + width);
    if (b <= a || x1 - x0 < 0.5) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(x0, top, x1 - x0, height);
    ctx.clip();
    ctx.beginPath();
    for (let x = x0 - height; x < x1; x += 6 * devicePixelRatio) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
  }
  const { since } = reference;
  const x = since === undefined ? 0 : Math.min(u.valToPos(since, "x", true), left + width);
  if (since !== undefined && x - left > 180 * devicePixelRatio) {
    ctx.fillStyle = muted;
    ctx.font = `${11 * devicePixelRatio}px ui-sans-serif, system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.fillText(`no data before ${moment(since)}`, x - 8 * devicePixelRatio, top + 0.3 * height);
  }
  ctx.restore();
}

/** The limit stepped through its history, and what was above it. */
function drawLimit(u: uPlot, line: Line, { percent, handle, selected, focus }: ChartProps, tone: (name: string) => string, ctx = u.ctx) {
  const { series } = line;
  const { left, top, width, height } = u.bbox;
  const x = (nth: number) => u.valToPos(series.from + nth * series.step, "x", true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.lineWidth = devicePixelRatio;
  for (let start = 0; start < series.limit.length; ) {
    const limit = series.limit[start];
    let end = start + 1;
    while (end < series.limit.length && series.limit[end] === limit) end++;
    if (limit != null) {
      const y = u.valToPos(percent ? 100 : limit, "y", true);
      ctx.fillStyle = tone("red");
      ctx.globalAlpha = 0.22;
      ctx.beginPath();
      for (let nth = start; nth < end; nth++) {
        const peak = series.peak[nth];
        if (peak != null && peak > limit) {
          const y1 = u.valToPos(drawn(peak, limit, percent) ?? 0, "y", true);
          ctx.rect(x(nth), y1, Math.max(x(nth + 1) - x(nth), devicePixelRatio), y - y1);
        }
      }
      ctx.fill();
      ctx.globalAlpha = 1;
      ctx.strokeStyle = line.key === selected || (ctx !== u.ctx && line.key === focus) ? tone("blue") : line.tone === "fill" ? tone("muted") : tone(line.tone);
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(Math.max(x(start), left), y);
      ctx.lineTo(Math.min(x(end), left + width), y);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    start = end;
  }
  const now = series.limit.at(-1);
  if (handle && !percent && handle.slots !== now) {
    const y = u.valToPos(handle.slots, "y", true);
    ctx.strokeStyle = tone("blue");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  }
  ctx.restore();
}
