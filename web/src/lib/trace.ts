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
}

/** What a line shows at a pixel: the lowest and the highest of the points there. */
export interface Place {
  x: number;
  low: number;
  high: number;
}

/**
 * The points from `start` up to and without `end` as stretches without a gap. Narrow points are gathered by columns of whole
 * pixels, so that no spike is lost however many share one; a column of which nothing is known breaks the line. `lows` are the
 * lowest of each point, where a point is the highest of many minutes.
 */
export function stretches(
  values: ArrayLike<number | null | undefined>,
  start: number,
  end: number,
  frame: Frame,
  lows: ArrayLike<number | null | undefined> = values,
): Place[][] {
  const { left, pitch } = frame;
  const found: Place[][] = [];
  // A plot that has no scale yet has no pixels.
  if (!Number.isFinite(left) || !(pitch > 0)) return found;
  let open: Place[] | null = null;
  const put = (x: number, low: number, high: number) => {
    if (!open) found.push((open = []));
    open.push({ x, low, high });
  };
  const first = Math.max(start, 0);
  const last = Math.min(end, values.length);
  if (pitch >= STEP_FROM_PX) {
    for (let at = first; at < last; at++) {
      const value = values[at];
      if (value == null) {
        open = null;
        continue;
      }
      const low = lows[at] ?? value;
      put(left + at * pitch, low, value);
      put(left + (at + 1) * pitch, low, value);
    }
    return found;
  }
  for (let at = first; at < last; ) {
    const column = Math.floor(left + at * pitch);
    let low = Infinity;
    let high = -Infinity;
    for (; at < last && Math.floor(left + at * pitch) === column; at++) {
      const value = values[at];
      if (value == null) continue;
      const least = lows[at] ?? value;
      if (least < low) low = least;
      if (value > high) high = value;
    }
    if (high < 0) open = null;
    else put(column + 0.5, low, high);
  }
  return found;
}

/** The points that share a column of whole pixels, as [start, end): what `stretches` gathers there. */
export function under(column: number, { left, pitch }: Frame): [number, number] {
  const at = (pixel: number) => (pixel - left) / pitch;
  if (pitch >= STEP_FROM_PX) {
    const nth = Math.floor(at(column + 0.5));
    return [nth, nth + 1];
  }
  return [Math.ceil(at(column) - 1e-9), Math.ceil(at(column + 1) - 1e-9)];
}

/** The line of the highest points. */
export function crest(pen: Pen, of: Place[][], y: (value: number) => number): void {
  for (const stretch of of) {
    stretch.forEach(({ x, high }, nth) => (nth === 0 ? pen.moveTo(x, y(high)) : pen.lineTo(x, y(high))));
    // A single column would have no length.
    const only = stretch.length === 1 ? stretch[0] : undefined;
    if (only) pen.lineTo(only.x + 1, y(only.high));
  }
}

/** How far a place reaches to either side: a column of pixels is half of itself away, the edge of a wide point is where it is. */
export const reachOf = ({ pitch }: Frame): number => (pitch >= STEP_FROM_PX ? 0 : 0.5);

/**
 * The area between the lowest and the highest points. It is bounded by what is upright and level alone, column by column: slopes
 * over so many columns take several times as long to be filled.
 */
export function band(pen: Pen, of: Place[][], y: (value: number) => number, reach: number): void {
  for (const stretch of of) {
    const [first] = stretch;
    if (!first) continue;
    pen.moveTo(first.x - reach, y(first.low));
    along(pen, stretch, reach, ({ high }) => y(high));
    along(pen, stretch.toReversed(), -reach, ({ low }) => y(low));
  }
}

/** From the near edge of the first place to the far edge of the last, with a step where the height changes. */
function along(pen: Pen, places: Place[], reach: number, height: (place: Place) => number): void {
  let stands: number | undefined;
  for (const place of places) {
    const next = height(place);
    if (next === stands) continue;
    if (stands !== undefined) pen.lineTo(place.x - reach, stands);
    pen.lineTo(place.x - reach, next);
    stands = next;
  }
  const last = places.at(-1);
  if (last && stands !== undefined) pen.lineTo(last.x + reach, stands);
}
