import { expect, test } from "vitest";

import { type Pen, type Place, band, crest, reachOf, stretches, under } from "./trace";

class Recorder implements Pen {
  readonly drawn: [string, number, number][] = [];
  moveTo(x: number, y: number) {
    this.drawn.push(["M", x, y]);
  }
  lineTo(x: number, y: number) {
    this.drawn.push(["L", x, y]);
  }
}

const drawn = (draw: typeof crest, places: Place[][]) => {
  const pen = new Recorder();
  draw(pen, places, (value) => value);
  return pen.drawn;
};

test("each column of pixels shows exactly the lowest and the highest of its minutes, in a week on any width", () => {
  // Deterministic and jagged, with gaps.
  const values = Array.from({ length: 10_080 }, (_, at) => ((at * 7_919) % 101 === 0 ? null : ((at * 2_654_435_761) >>> 7) % 50));
  values[7_777] = 999;
  for (const [left, width] of [
    [0, 300],
    [48.25, 1_111],
    [96, 2_200],
    [0, 9_000],
  ] as const) {
    const pitch = width / values.length;
    const expected = new Map<number, [number, number]>();
    values.forEach((value, at) => {
      if (value === null) return;
      const column = Math.floor(left + at * pitch) + 0.5;
      const [low, high] = expected.get(column) ?? [value, value];
      expected.set(column, [Math.min(low, value), Math.max(high, value)]);
    });
    const places = stretches(values, 0, values.length, { left, pitch });
    expect(new Map(places.flat().map(({ x, low, high }) => [x, [low, high]]))).toEqual(expected);
    expect(Math.max(...drawn(crest, places).map(([, , y]) => y))).toBe(999);
    // The band reaches from one to the other in each column.
    const edges = edgesOf(places);
    for (const [x, [low, high]] of expected) expect(edges(x)).toEqual([low, high]);
  }
}, 60_000);

/** The edges of the band at a pixel, the lower first: all of it is upright or level. */
const edgesOf = (places: Place[][], reach = 0.5) => {
  const level: { from: number; to: number; y: number }[] = [];
  let pen: [number, number] = [0, 0];
  for (const [move, x, y] of drawn((to, of, height) => band(to, of, height, reach), places)) {
    if (move === "L") {
      if (x !== pen[0] && y !== pen[1]) throw new Error(`The edge to ${x}, ${y} slopes.`);
      if (y === pen[1]) level.push({ from: Math.min(x, pen[0]), to: Math.max(x, pen[0]), y });
    }
    pen = [x, y];
  }
  return (x: number) => level.filter(({ from, to }) => from <= x && x <= to).map(({ y }) => y).sort((a, b) => a - b);
};

test("the band of one column is as wide as it, and that of wide minutes is as wide as they are", () => {
  const column = { left: 10, pitch: 0.5 };
  const narrow = drawn((to, of, height) => band(to, of, height, reachOf(column)), stretches([3, 9], 0, 2, column));
  expect(narrow).toEqual([["M", 10, 3], ["L", 10, 9], ["L", 11, 9], ["L", 11, 3], ["L", 10, 3]]);
  const minutes = { left: 10, pitch: 4 };
  expect(edgesOf(stretches([3, 5], 0, 2, minutes), reachOf(minutes))(13)).toEqual([3, 3]);
});

test("wide minutes are steps, and hold for the whole of them", () => {
  expect(drawn(crest, stretches([3, 5], 0, 2, { left: 10, pitch: 4 }))).toEqual([
    ["M", 10, 3],
    ["L", 14, 3],
    ["L", 14, 5],
    ["L", 18, 5],
  ]);
});

test("what is not known breaks the line", () => {
  expect(stretches([3, null, 5], 0, 3, { left: 0, pitch: 10 })).toHaveLength(2);
  expect(stretches([3, null, 5], 0, 3, { left: 0, pitch: 1 })).toHaveLength(2);
  expect(stretches([null, null], 0, 2, { left: 0, pitch: 0.1 })).toEqual([]);
  expect(drawn(crest, stretches([4], 0, 1, { left: 0, pitch: 1 }))).toHaveLength(2);
});

test("what is read under a pixel is what is drawn there", () => {
  const values = Array.from({ length: 10_080 }, (_, at) => ((at * 2_654_435_761) >>> 7) % 50);
  for (const frame of [
    { left: 0, pitch: 1_111 / 10_080 },
    { left: 3.25, pitch: 0.7 },
  ]) {
    for (const { x, low, high } of stretches(values, 0, values.length, frame).flat()) {
      const [start, end] = under(x - 0.5, frame);
      const there = values.slice(Math.max(start, 0), end);
      expect([Math.min(...there), Math.max(...there)]).toEqual([low, high]);
    }
  }
  expect(under(47, { left: 10, pitch: 18 })).toEqual([2, 3]);
});

test("points of ten minutes reach down to the lowest of them, in narrow columns and in wide steps", () => {
  expect(stretches([9, 7, null, 8], 0, 4, { left: 0, pitch: 0.5 }, [2, 3, 0, 1])).toEqual([
    [
      { x: 0.5, low: 2, high: 9 },
      { x: 1.5, low: 1, high: 8 },
    ],
  ]);
  expect(stretches([9], 0, 1, { left: 10, pitch: 4 }, [2])).toEqual([
    [
      { x: 10, low: 2, high: 9 },
      { x: 14, low: 2, high: 9 },
    ],
  ]);
});

test("a plot without a scale draws nothing, and ends", () => {
  expect(stretches([3, 9], 0, 2, { left: Number.NaN, pitch: Number.NaN })).toEqual([]);
});
