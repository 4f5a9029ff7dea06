// What the page asks for before it draws: early, once, and all of it used.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { type DescMessage, type MessageShape, fromBinary } from "@bufbuild/protobuf";
import { type Page, type Request } from "@playwright/test";

import { GetHistoryRequestSchema } from "../src/gen/highwater/v1/quota_pb";
import { targetKey } from "../src/lib/target";
import { expect, openQuotas, test } from "./page";

const DIST = join(import.meta.dirname, "..", "dist");
const INDEX = readFileSync(join(DIST, "index.html"), "utf8");
/** What the first load may weigh, in bytes of gzip: all that the index names, and itself. */
const MOST_BYTES = 230_000;
/** The file that draws: the index names it, so that it is fetched while the first calls are made. */
const DRAWING = /rel="modulepreload"[^>]* href="([^"]+)"/.exec(INDEX)?.[1] ?? "";
/** Bytes before the message of a call: its flags and its length. */
const FRAME = 5;

const callOf = (request: Request): string => /\/highwater\.v1\.\w+\/(\w+)$/.exec(new URL(request.url()).pathname)?.[1] ?? "";
const said = <S extends DescMessage>(schema: S, request: Request): MessageShape<S> => fromBinary(schema, request.postDataBuffer()?.subarray(FRAME) ?? new Uint8Array());

/** A call and what it asks for: of two histories of the same targets, those of other minutes are others. */
function asked(request: Request): string {
  const call = callOf(request);
  if (call !== "GetHistory") return `${call} ${request.postDataBuffer()?.toString("base64") ?? ""}`;
  const { targets, startTime, step } = said(GetHistoryRequestSchema, request);
  return [call, targets.map(targetKey).sort().join(" "), startTime?.seconds, step?.seconds].join(" ");
}

/** Calls that are made from now on, and those that were given up. */
function listen(page: Page) {
  const [made, givenUp]: [string[], string[]] = [[], []];
  page.on("request", (request) => callOf(request) && made.push(asked(request)));
  page.on("requestfailed", (request) => callOf(request) && givenUp.push(asked(request)));
  return { made, givenUp };
}

/** Leaves out what the page asks for again and again, from some seconds on: however long it takes to load, that is no part of it. */
const withoutRefreshes = (page: Page): Promise<unknown> =>
  page.addInitScript(() => {
    const every = window.setInterval.bind(window);
    const isRefresh = (ms: number | undefined) => (ms ?? 0) > 1_500;
    window.setInterval = ((run: () => void, ms?: number) => (isRefresh(ms) ? 0 : every(run, ms))) as typeof window.setInterval;
  });

test("the first load is as light as was promised", () => {
  const files = [...INDEX.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, name]) => name ?? "");
  expect(files.length).toBeGreaterThanOrEqual(3);
  const bytes = ["index.html", ...files].map((name) => gzipSync(readFileSync(join(DIST, name)), { level: 9 }).length);
  expect(bytes.reduce((sum, of) => sum + of, 0)).toBeLessThanOrEqual(MOST_BYTES);
});

test("all that the first view needs is asked for before anything is drawn, and once", async ({ page }) => {
  await withoutRefreshes(page);
  const { made, givenUp } = listen(page);
  let draw = () => {};
  const mayDraw = new Promise<void>((done) => (draw = done));
  await page.route(`**${DRAWING}`, async (route) => {
    await mayDraw;
    await route.fallback();
  });
  await page.goto("/p/demo/quotas", { waitUntil: "commit" });
  // What fires, which way sessions go, and what the demo has mailed, is asked for when all is drawn.
  const calls = () => made.map((call) => call.split(" ")[0] ?? "").filter((call) => !["ListAlerts", "ListMails", "WatchRoutes"].includes(call)).toSorted();
  const all = ["GetCaller", ...Array<string>(5).fill("GetHistory"), "GetStatus", "ListAnnotations", "ListProjects", "WatchQuotas"];
  // Of each of four sections, and of the connections.
  await expect.poll(calls).toEqual(all);
  await expect(page.locator("#page")).toBeEmpty();
  draw();
  for (const name of ["TTS", "STT", "LLM", "Realtime"]) {
    await expect(page.getByRole("group", { name: new RegExp(`Chart of ${name}`) }).locator(".uplot canvas")).toBeVisible();
  }
  await expect(page.getByText(/live since/)).toBeVisible();
  expect(made.toSorted()).toEqual([...new Set(made)].toSorted());
  expect(calls()).toEqual(all);
  expect(givenUp).toEqual([]);
});

test("an address that says a range asks for its histories, and for no week beside them", async ({ page }) => {
  await withoutRefreshes(page);
  const { made, givenUp } = listen(page);
  await openQuotas(page, "?range=1h");
  await expect(page.getByText(/live since/)).toBeVisible();
  const histories = made.filter((call) => call.startsWith("GetHistory"));
  // Of each of four sections, and of the connections.
  expect(histories.map((call) => Number(call.split(" ").at(-1))).toSorted((a, b) => a - b)).toEqual([60, 60, 60, 60, 1_800]);
  expect(histories).toEqual([...new Set(histories)]);
  expect(givenUp).toEqual([]);
});

test("a page whose drawing can't be loaded says so, with a way on", async ({ page }) => {
  await page.route(`**${DRAWING}`, (route) => route.abort());
  await page.goto("/p/demo/quotas");
  await expect(page.getByRole("alert")).toContainText("can’t be loaded");
  await page.unroute(`**${DRAWING}`);
  await page.getByRole("alert").getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("group", { name: /Chart of TTS/ }).locator(".uplot canvas")).toBeVisible();
});

test("a history that fails early is asked for again, and then said in its place, with Retry", async ({ page }) => {
  await page.route(
    (url) => url.pathname.endsWith("/GetHistory"),
    (route) => route.abort(),
  );
  await page.goto("/p/demo/quotas");
  const tts = page.getByRole("region", { name: "TTS", exact: true });
  await expect(tts.getByText("The history of TTS")).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await tts.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("group", { name: /Chart of TTS/ }).locator(".uplot canvas")).toBeVisible();
});
