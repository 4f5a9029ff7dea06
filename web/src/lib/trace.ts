// How a line of minutes is drawn: where many share a column of pixels, as the envelope of all of them.

export interface Pen {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** Points wider than this, in pixels, are drawn as steps: a peak holds for its whole minute. */
const STEP_FROM_PX = 2;

export interface Frame {
  /** Pixel of the start of the point of index 0, and pixels a point. */
  left: number;
  pitch: number;
  /** Pixel of a value. */
  y: (value: number) => number;
}

/**
 * Draws the points from `start` up to and without `end`. Narrow points are gathered by columns of whole pixels, of each its
 * first, lowest, highest and last, so that no spike is lost; a point that is not known breaks the line.
 */
export function trace(pen: Pen, values: ArrayLike<number | null | undefined>, start: number, end: number, frame: Frame): void {
  const { left, pitch, y } = frame;
  let isUp = true;
  const to = (x: number, value: number) => {
    if (isUp) pen.moveTo(x, y(value));
    else pen.lineTo(x, y(value));
    isUp = false;
  };
  const last = Math.min(end, values.length);
  if (pitch >= STEP_FROM_PX) {
    for (let at = Math.max(start, 0); at < last; at++) {
      const value = values[at];
      if (value == null) {
        isUp = true;
        continue;
      }
      to(left + at * pitch, value);
      to(left + (at + 1) * pitch, value);
    }
    return;
  }
  for (let at = Math.max(start, 0); at < last; ) {
    const column = Math.floor(left + at * pitch);
    let opening: number | null = null;
    let low: number | null = null;
    let high: number | null = null;
    let closing: number | null = null;
    for (; at < last && Math.floor(left + at * pitch) === column; at++) {
      const value = values[at];
      if (value == null) continue;
      opening ??= value;
      low = low === null ? value : Math.min(low, value);
      high = high === null ? value : Math.max(high, value);
      closing = value;
    }
    if (opening === null || low === null || high === null || closing === null) {
      isUp = true;
      continue;
    }
    const x = column + 0.5;
    to(x, opening);
    if (low !== opening || low === high) to(x, low);
    if (high !== low) to(x, high);
    if (closing !== high) to(x, closing);
  }
}
