// The chart of a section: minute peaks of its models and of its pool, the limit in force, and what happened.
import { type PointerEvent as ReactPointerEvent, type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";

import { getCursor, onCursor, setCursor } from "../../lib/cursor";
import { type Series, highest, lastRead } from "../../lib/series";
import { under } from "../../lib/trace";
import { colour, useShade } from "../../lib/theme";
import { type PlacedMark } from "./chart-marks";
import { type ChartProps, type Line, drawPreview, drawn, options } from "./chart-paint";
import { Handle } from "./handle";
import { Marks } from "./marks";

const LABEL_WIDTH = 168;
/** Narrower than this there is no room for names beside the lines: they are numbered there, and named under the chart. */
const LEAST_WIDTH_FOR_LABELS = 760;
const NUMBER_WIDTH = 20;
/** How near, in pixels, a click must be to a line to mean it. */
const REACH = 14;

/** The line that is read: the one that stands out, else the pool. */
const shownOf = (lines: Line[], focus: string): Line | undefined => lines.find(({ key }) => key === focus) ?? lines.find(({ isPool }) => isPool) ?? lines[0];

export function Chart(props: ChartProps) {
  const { lines, from, to, focus, percent, section } = props;
  const box = useRef<HTMLDivElement>(null);
  const cross = useRef<HTMLDivElement>(null);
  const dot = useRef<HTMLDivElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const plot = useRef<uPlot | null>(null);
  const traced = useRef(new Map<string, Path2D>());
  const toned = useRef<Record<string, string>>({});
  const latest = useRef(props);
  latest.current = props;
  const shade = useShade();
  const [width, setWidth] = useState(0);
  const [labels, setLabels] = useState<{ key: string; name: string; top: number; tone: string }[]>([]);
  const [marks, setMarks] = useState<PlacedMark[]>([]);
  const [handleTop, setHandleTop] = useState<number | null>(null);
  const gutter = width >= LEAST_WIDTH_FOR_LABELS ? LABEL_WIDTH : NUMBER_WIDTH;
  const numbered = useMemo(() => labels.toSorted((a, b) => a.top - b.top), [labels]);

  // Known before the first frame, so that none is painted without the plot.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    setWidth(element.clientWidth);
    return () => watch.disconnect();
  }, []);

  const data = useMemo<uPlot.AlignedData>(() => {
    // Lines may have points of different widths: each is drawn by its own, the axis is that of the widest.
    const first = lines.toSorted((a, b) => b.series.step - a.series.step)[0]?.series;
    const [begin, step] = [first?.from ?? from, first?.step ?? 60];
    const xs = (first?.peak ?? []).map((_, nth) => begin + nth * step);
    // A level is drawn as it came.
    const ys = lines.map(({ series: { peak, limit } }) => (percent ? peak.map((level, nth) => drawn(level, limit[nth], true)) : peak));
    return [xs, ...ys];
  }, [lines, percent, from]);

  // The plot is made anew when its lines, its size or its colours change; never while the pointer moves.
  const shape = lines.map((line) => `${line.key} ${line.tone}`).join("\n");
  useEffect(() => {
    const element = box.current;
    if (!element || width === 0 || lines.length === 0) return undefined;
    const tones = Object.fromEntries(
      ["fill", "amber", "red", "blue", "line", "muted", "text", "faint", "ground"].map((name) => [name, colour(name)]),
    );
    toned.current = tones;
    const made = new uPlot(options(latest, width, gutter, tones, setLabels, setHandleTop, setMarks, traced.current), data, element);
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, width, gutter, shade, percent]);

  useEffect(() => plot.current?.setData(data, true), [data]);

  useEffect(() => {
    plot.current?.setScale("x", { min: from, max: to });
  }, [from, to, props.selected, data, width, gutter, shade, shape, percent]);

  // What only changes colours and marks draws the lines as they were traced.
  useEffect(() => plot.current?.redraw(false, false), [props.selected, props.marks]);

  // A limit that is dragged beyond the top makes room above it. Room is taken back when it is where it was: never under the hand.
  const tried = props.handle?.slots;
  useEffect(() => {
    const made = plot.current;
    // One that was just made has no scale, and draws itself when it has.
    if (made?.scales["x"]?.min == null) return;
    const { lines: of, selected } = latest.current;
    const isBack = tried === undefined || tried === of.find(({ key }) => key === selected)?.series.limit.at(-1);
    made.redraw(isBack || tried > (made.scales["y"]?.max ?? 0), false);
  }, [tried]);

  useEffect(() => {
    const made = plot.current;
    const previewed = props.selected ? undefined : lines.find(({ key }) => key === focus);
    if (made && over.current) drawPreview(over.current, made, latest.current, previewed, traced.current.get(focus), (name) => toned.current[name] ?? "#888");
  }, [focus, props.selected, data, width, gutter, shade, shape, percent, from, to, lines]);

  // The crosshair follows the shared minute without React.
  useEffect(() => {
    const place = () => {
      const { at } = getCursor();
      const made = plot.current;
      const [line, point] = [cross.current, dot.current];
      if (!line || !point) return;
      const of = latest.current;
      if (at === null || !made || at < of.from || at > of.to) {
        line.hidden = point.hidden = true;
        return;
      }
      const series = shownOf(of.lines, of.focus)?.series;
      // A wide minute is a step: the middle of it.
      const step = series?.step ?? 60;
      const pitch = made.valToPos(at + step, "x") - made.valToPos(at, "x");
      // As the plot knows its place: to ask the page between the charts' moves would lay it out for each of them.
      const [x0, y0, tall] = [made.bbox.left, made.bbox.top, made.bbox.height].map((pixels) => pixels / devicePixelRatio) as [number, number, number];
      const left = x0 + made.valToPos(at, "x") + (pitch >= 2 ? pitch / 2 : 0);
      line.hidden = false;
      line.style.transform = `translateX(${left}px)`;
      line.style.top = `${y0}px`;
      line.style.height = `${tall}px`;
      const nth = series ? Math.floor((at - series.from) / series.step) : -1;
      const value = series ? drawn(series.peak[nth], series.limit[nth], of.percent) : null;
      point.hidden = value === null;
      if (value !== null) point.style.transform = `translate(${left - 3}px, ${y0 + made.valToPos(value, "y") - 3}px)`;
    };
    place();
    return onCursor(place);
  }, [data, width, from, to, focus]);

  /** Index of the highest minute under a pixel, of the line that stands out. */
  const snapped = (x: number): number | null => {
    const made = plot.current;
    const series = shownOf(lines, focus)?.series;
    if (!made || !series) return null;
    const left = made.valToPos(series.from, "x");
    const pitch = made.valToPos(series.from + series.step, "x") - left;
    const [start, end] = under(Math.floor(x), { left, pitch });
    const found = highest(series.peak, start, end);
    const nth = found < 0 ? Math.min(Math.max(start, 0), lastRead(series)) : found;
    return series.from + nth * series.step;
  };

  /** The line at a pixel, if one is near. */
  const nearest = (x: number, y: number): string => {
    const made = plot.current;
    if (!made) return "";
    let best = "";
    let distance = REACH;
    for (const { key, series } of lines) {
      const at = (pixel: number) => Math.floor((made.posToVal(pixel, "x") - series.from) / series.step);
      for (let nth = at(x - 2); nth <= at(x + 2); nth++) {
        const value = drawn(series.peak[nth], series.limit[nth], percent);
        if (value === null) continue;
        const away = Math.abs(made.valToPos(value, "y") - y);
        if (away < distance) [best, distance] = [key, away];
      }
    }
    return best;
  };

  const inside = (event: { clientX: number; clientY: number }) => {
    const over = plot.current?.over.getBoundingClientRect();
    return over ? { x: event.clientX - over.left, y: event.clientY - over.top, width: over.width, height: over.height } : null;
  };

  /** The newest minute of the window that is read. */
  const newest = (series: Series | undefined): number => {
    const step = series?.step ?? 60;
    return Math.max(from, Math.min(to - step, series ? series.from + lastRead(series) * step : Infinity));
  };

  const pressed = useRef({ x: 0, y: 0 });

  const onMove = (event: ReactPointerEvent) => {
    const at = inside(event);
    if (!at || at.x < 0 || at.x > at.width || at.y < 0 || at.y > at.height) return;
    if (!getCursor().pinned) setCursor({ at: snapped(at.x), section });
    if (!props.selected) props.onPreview(nearest(at.x, at.y));
  };

  const onClick = (event: React.MouseEvent) => {
    if (Math.hypot(event.clientX - pressed.current.x, event.clientY - pressed.current.y) > 4) return;
    const at = inside(event);
    if (!at || at.x < 0 || at.x > at.width || at.y < 0 || at.y > at.height) return;
    const key = nearest(at.x, at.y);
    if (key && key !== props.selected) {
      props.onSelect(key);
      setCursor({ at: snapped(at.x), section });
      return;
    }
    const isPinned = getCursor().pinned;
    setCursor({ at: snapped(at.x), pinned: !isPinned, section });
  };

  const onKey = (event: KeyboardEvent) => {
    const series = shownOf(lines, focus)?.series;
    const step = series?.step ?? 60;
    const last = newest(series);
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60 }[event.key];
    const at = getCursor().at ?? last;
    if (by) {
      const next = Math.min(Math.max(at + by * step * (event.shiftKey ? 10 : 1), from), last);
      setCursor({ at: next, pinned: true, section });
    } else if (event.key === "Home" || event.key === "End") {
      setCursor({ at: event.key === "Home" ? from : last, pinned: true, section });
    } else if (event.key === "Escape") {
      setCursor({ at: null, pinned: false, section });
    } else {
      return;
    }
    event.preventDefault();
  };

  return (
    <>
      <div
        ref={box}
        role="group"
        aria-label={props.label}
        aria-roledescription="chart; arrows step by minute"
        tabIndex={0}
        className="relative cursor-crosshair touch-pan-y"
        data-chart={section}
        data-window={`${from} ${to}`}
        onPointerDown={(event) => (pressed.current = { x: event.clientX, y: event.clientY })}
        onPointerMove={onMove}
        onPointerLeave={() => {
          props.onPreview("");
          if (!getCursor().pinned) setCursor({ at: null });
        }}
        onClick={onClick}
        onKeyDown={onKey}
        onFocus={(event) => {
          if (event.target.matches(":focus-visible") && getCursor().at === null) setCursor({ at: newest(shownOf(lines, focus)?.series), section });
        }}
      >
        <div className="pointer-events-none absolute inset-0 z-10 overflow-hidden" aria-hidden="true">
          <canvas ref={over} width={0} height={0} className="absolute top-0 left-0 h-[220px] w-full" />
          <div ref={cross} hidden className="absolute left-0 w-px bg-muted will-change-transform" />
          <div ref={dot} hidden className="absolute top-0 left-0 size-[7px] will-change-transform rounded-full border border-ground bg-blue" />
        </div>
        {props.handle && handleTop !== null && (
          <Handle top={handleTop} gutter={gutter} plot={plot} {...props.handle} />
        )}
        <Marks marks={marks} section={section} />
        {gutter === NUMBER_WIDTH && (
          <div aria-hidden="true" className="pointer-events-none absolute top-0 right-0 z-10 w-[16px]">
            {numbered.map(({ key, top, tone }, nth) => (
              <span
                key={key}
                ref={(element) => void (element && (element.style.top = `${top}px`))}
                className={`absolute left-0 text-[11px] leading-4 font-medium ${key === focus ? "text-blue" : tone}`}
              >
                {nth + 1}
              </span>
            ))}
          </div>
        )}
        {gutter === LABEL_WIDTH && (
          <ul aria-hidden="true" className="absolute top-0 right-0 z-10 w-[160px]">
            {labels.map(({ key, name, top, tone }) => (
              <li key={key} ref={(element) => void (element && (element.style.top = `${top}px`))} className="absolute left-0 w-full">
                <button
                  type="button"
                  tabIndex={-1}
                  title={name}
                  onClick={(event) => {
                    event.stopPropagation();
                    props.onSelect(key === props.selected ? "" : key);
                  }}
                  onPointerEnter={() => props.onPreview(key)}
                  onPointerLeave={() => props.onPreview("")}
                  className={`block h-4 w-full truncate text-left text-[11px] leading-4 ${key === focus ? "font-medium text-blue" : `${tone} ${props.selected ? "opacity-60" : ""}`}`}
                >
                  {name}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
      {gutter === NUMBER_WIDTH && numbered.length > 0 && (
        <ol aria-label={`Lines of the ${props.label.replace(/^Chart/, "chart")}`} className="flex flex-wrap gap-x-3 pb-2 text-[11px]">
          {numbered.map(({ key, name, tone }, nth) => (
            <li key={key} className="max-w-full">
              <button
                type="button"
                aria-pressed={key === props.selected}
                onClick={() => props.onSelect(key === props.selected ? "" : key)}
                className={`flex h-6 max-w-full items-center gap-1 ${key === focus ? "font-medium text-blue" : tone}`}
              >
                <span aria-hidden="true" className="font-medium">
                  {nth + 1}
                </span>
                <span className="truncate">{name}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </>
  );
}
