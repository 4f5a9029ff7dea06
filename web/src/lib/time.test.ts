import { expect, test } from "vitest";

import { duration, minutesLong } from "./time";

test("durations are as people say them", () => {
  expect([0, 40, 65, 3_000, 7_500, 172_800, 400_000].map(duration)).toEqual(["0 s", "40 s", "1 min 5 s", "50 min", "2 h 5 min", "2 d", "4 d"]);
  expect([0, 3, 80].map(minutesLong)).toEqual(["0 min", "3 min", "1 h 20 min"]);
});
