// What happened, as marks at the foot of a chart: a change, a request, an outage, an alert from its beginning to its end.
import type uPlot from "uplot";

export interface Mark {
  at: number;
  /** Until when; absent for a moment. */
  until?: number | undefined;
  text: string;
  /** Of which line; absent for what is of all. */
  of?: string | undefined;
  isOutage?: boolean;
  /** New sessions took another way. */
  isRoute?: boolean;
  /** Something was over: it is drawn hollow. */
  isEnd?: boolean;
}

/** Where a mark stands, in pixels from the left of the chart. */
export interface PlacedMark extends Mark {
  left: number;
}

/** What is marked, and the window in which marks are looked for. */
interface Marked {
  marks: readonly Mark[];
  from: number;
  to: number;
}

const isShown = ({ at, until }: Mark, { from, to }: Marked): boolean => (until ?? at) >= from && at <= to;

/** Where the marks of the window stand. */
export const placed = (u: uPlot, of: Marked): PlacedMark[] =>
  of.marks.filter((mark) => isShown(mark, of)).map((mark) => ({ ...mark, left: u.over.offsetLeft + u.valToPos(Math.max(mark.at, of.from), "x") }));

/** Small marks at the foot for what happened. */
export function drawMarks(u: uPlot, of: Marked, tone: (name: string) => string) {
  const { marks, from, to } = of;
  const { ctx } = u;
  const { top, height } = u.bbox;
  ctx.save();
  for (const mark of marks) {
    if (!isShown(mark, of)) continue;
    const { at, until, isOutage, isRoute, isEnd } = mark;
    const x = u.valToPos(Math.max(at, from), "x", true);
    const size = 4 * devicePixelRatio;
    ctx.fillStyle = tone(isOutage ? "red" : isRoute ? "violet" : "muted");
    if (until) ctx.fillRect(x, top + height - 2 * devicePixelRatio, u.valToPos(Math.min(until, to), "x", true) - x, 2 * devicePixelRatio);
    ctx.beginPath();
    ctx.moveTo(x, top + height - 1.6 * size);
    ctx.lineTo(x + size, top + height);
    ctx.lineTo(x - size, top + height);
    ctx.closePath();
    if (isEnd) {
      ctx.strokeStyle = tone("muted");
      ctx.lineWidth = devicePixelRatio;
      ctx.stroke();
    } else {
      ctx.fill();
    }
  }
  ctx.restore();
}
