import { expect, test } from "vitest";

import { type Pen, trace } from "./trace";

class Recorder implements Pen {
  readonly drawn: [string, number, number][] = [];
  moveTo(x: number, y: number) {
    this.drawn.push(["M", x, y]);
  }
  lineTo(x: number, y: number) {
    this.drawn.push(["L", x, y]);
  }
}

const drawn = (values: (number | null)[], left: number, pitch: number, start = 0, end = values.length) => {
  const pen = new Recorder();
  trace(pen, values, start, end, { left, pitch, y: (value) => value });
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
  ] as const) {
    const pitch = width / values.length;
    const expected = new Map<number, [number, number]>();
    values.forEach((value, at) => {
      if (value === null) return;
      const column = Math.floor(left + at * pitch) + 0.5;
      const [low, high] = expected.get(column) ?? [value, value];
      expected.set(column, [Math.min(low, value), Math.max(high, value)]);
    });
    const found = new Map<number, [number, number]>();
    for (const [, x, y] of drawn(values, left, pitch)) {
      const [low, high] = found.get(x) ?? [y, y];
      found.set(x, [Math.min(low, y), Math.max(high, y)]);
    }
    expect(found).toEqual(expected);
  }
});

test("wide minutes are steps, and hold for the whole of them", () => {
  expect(drawn([3, 5], 10, 4)).toEqual([
    ["M", 10, 3],
    ["L", 14, 3],
    ["L", 14, 5],
    ["L", 18, 5],
  ]);
});

test("what is not known breaks the line", () => {
  expect(drawn([3, null, 5], 0, 10).filter(([pen]) => pen === "M")).toHaveLength(2);
  expect(drawn([null, null], 0, 10)).toEqual([]);
});
