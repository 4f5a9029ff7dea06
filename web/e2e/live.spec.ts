// What happens to the page while it is looked at, and what it does with much, with nothing, and with the odd; on a service of its own.
import { randomBytes } from "node:crypto";
import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { type Page } from "@playwright/test";

import { IngestService } from "../src/gen/highwater/v1/ingest_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { ownPort } from "../playwright.config";
import { callsOf, expect, expectAccessible, expectFits, midMinute, spoken, test } from "./page";
import { binary, start, stop } from "./service";

const OWN_PORT = ownPort(1);
const ORIGIN = `http://127.0.0.1:${OWN_PORT}`;
/** What a session may take until it is seen. */
const SEEN_WITHIN_MS = 1_500;
const ROUNDS = 8;
/** How long a killed service is away: some whole seconds are missed. */
const AWAY_MS = 3_000;
const SONIC = "tts/cartesia/sonic-3";
const MOST_EVENTS = 4_096;

test.use({ port: OWN_PORT, baseURL: ORIGIN });

let service: ChildProcess;
let place = "";
const serve = () => start(["serve", "--dev", "--store", join(place, "store.redb")], OWN_PORT);

test.beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "highwater-e2e-live-"));
  service = await serve();
});
test.afterAll(async () => {
  await stop(service);
  rmSync(place, { recursive: true, force: true });
});

const ingest = createClient(
  IngestService,
  createGrpcWebTransport({
    baseUrl: ORIGIN,
    interceptors: [
      (next) => (request) => {
        request.header.set("X-Highwater", "1");
        request.header.set("Origin", ORIGIN);
        return next(request);
      },
    ],
  }),
);
const meter = (kind: Kind, model: string) => ({ target: { case: "meter" as const, value: { kind, model } } });

/** A worker that opened so many sessions on a model. */
async function opens(project: string, kind: Kind, model: string, sessions: number): Promise<void> {
  const worker = { project, workerId: "e2e", incarnation: randomBytes(16), lease: { seconds: 300n, nanos: 0 } };
  for (let left = sessions; left > 0; left -= MOST_EVENTS) {
    const events = Array.from({ length: Math.min(left, MOST_EVENTS) }, () => ({ sessionId: randomBytes(16), meter: { kind, model } }));
    await ingest.report({ ...worker, events });
  }
}

/** How often it is looked whether a process runs at all, and is not kept waiting by what else the machine does. */
const PULSE_MS = 20;

/**
 * When the page first says a level of a row, in milliseconds since 1970: seen by the page itself, not by asking it again and
 * again. And for how long at most the page was not run meanwhile, which is the machine's time, and not the page's.
 */
const saysLevel = (page: Page, key: string, level: number): Promise<{ at: number; stood: number }> =>
  page.evaluate(
    ([row, wanted, pulse]) =>
      new Promise<{ at: number; stood: number }>((done) => {
        let [last, stood] = [performance.now(), 0];
        const beat = setInterval(() => {
          const now = performance.now();
          stood = Math.max(stood, now - last - pulse);
          last = now;
        }, pulse);
        const look = () => {
          const said = document.querySelector(`[data-row="${row}"] svg[role=img]`)?.getAttribute("aria-label") ?? "";
          if (!said.startsWith(`${wanted} of `)) return;
          watch.disconnect();
          clearInterval(beat);
          const now = performance.now();
          done({ at: performance.timeOrigin + now, stood: Math.max(stood, now - last - pulse, 0) });
        };
        const watch = new MutationObserver(look);
        watch.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
        look();
      }),
    [key, level, PULSE_MS] as const,
  );

test("a session shows within 1.5 s of its acknowledgement", async ({ page }, info) => {
  const { limits } = callsOf(OWN_PORT);
  await limits.setLimit({ project: "live", target: meter(Kind.TTS, "cartesia/sonic-3"), slots: 30, setBy: "test" });
  await opens("live", Kind.TTS, "cartesia/sonic-3", 1);
  await page.goto("/p/live/quotas");
  await expect(page.getByRole("row", { name: /Sonic 3/ })).toBeVisible();
  await saysLevel(page, SONIC, 1);
  const took: number[] = [];
  const own: number[] = [];
  for (let level = 2; level <= 1 + ROUNDS; level++) {
    const seen = saysLevel(page, SONIC, level);
    await opens("live", Kind.TTS, "cartesia/sonic-3", 1);
    const acknowledged = Date.now();
    const { at, stood } = await seen;
    took.push(Math.round(at - acknowledged));
    own.push(Math.round(at - acknowledged - stood));
  }
  info.annotations.push({ type: "from acknowledgement to page, ms", description: took.join(" ") });
  console.log(`from acknowledgement to page: ${took.join(", ")} ms`);
  expect(Math.max(...own)).toBeLessThanOrEqual(SEEN_WITHIN_MS);
});

/** The start of a minute of the last hour that the page says so: "Thu 18:26". */
function minuteOf(said: string): number {
  const now = Math.floor(Date.now() / 60_000) * 60;
  const found = Array.from({ length: 60 }, (_, ago) => now - ago * 60).find((at) => spoken(at).includes(said));
  if (found === undefined) throw new Error(`“${said}” is no minute of the last hour.`);
  return found;
}

/** Pixels that are painted in the column of a minute of a chart, in the window that it is drawn of: a hatch adds many. */
const painted = (page: Page, label: RegExp, minute: number): Promise<number> =>
  page.getByRole("group", { name: label }).evaluate((chart, at) => {
    const canvas = chart.querySelector<HTMLCanvasElement>(".uplot canvas");
    const over = chart.querySelector(".u-over")?.getBoundingClientRect();
    const [from = 0, to = 0] = (chart as HTMLElement).dataset["window"]?.split(" ").map(Number) ?? [];
    if (!canvas || !over || to <= from) return 0;
    const scale = canvas.width / canvas.getBoundingClientRect().width;
    const wide = (over.width * 60) / (to - from);
    const left = over.left - canvas.getBoundingClientRect().left + (over.width * (at - from)) / (to - from);
    const pixels = canvas.getContext("2d")?.getImageData(left * scale, 0, wide * scale, over.height * scale).data;
    return [...(pixels ?? [])].filter((alpha, nth) => nth % 4 === 3 && alpha > 0).length;
  }, minute);

test("a service that is killed is said so, comes back by itself, and the gap is marked", async ({ page }) => {
  test.setTimeout(240_000);
  const { limits } = callsOf(OWN_PORT);
  await limits.setLimit({ project: "killed", target: meter(Kind.TTS, "cartesia/sonic-3"), slots: 3, setBy: "test" });
  await opens("killed", Kind.TTS, "cartesia/sonic-3", 2);
  await page.goto("/p/killed/quotas?range=1h");
  const banner = page.getByRole("banner");
  await expect(banner.getByText(/live since/)).toBeVisible();
  const chart = page.getByRole("group", { name: /Chart of TTS/ });
  await expect(chart.locator(".uplot canvas")).toBeVisible();
  const asTable = page.getByRole("button", { name: /As table/ });
  const table = page.getByRole("region", { name: "The chart of TTS as a table" });
  await asTable.click();
  // The minute in which all began was not covered from its start; the next one is whole.
  await expect(table.getByRole("row").nth(1).getByRole("cell").first()).toHaveText("2", { timeout: 90_000 });
  const whole = minuteOf((await table.getByRole("rowheader").first().textContent()) ?? "");
  await asTable.click();
  await expect(chart.locator(".uplot canvas")).toBeVisible();
  // Its line is drawn by then, and grows no more once the minute is over.
  await expect.poll(() => painted(page, /Chart of TTS/, whole)).toBeGreaterThan(0);
  const plain = await painted(page, /Chart of TTS/, whole);

  await stop(service, "SIGKILL");
  const killed = Date.now();
  await expect(banner.getByText(/as of \d\d:\d\d/)).toBeVisible();
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText(/as of \d\d:\d\d/);
  const head = page.getByRole("region", { name: "TTS", exact: true }).locator("header");
  await expect(head).toContainText(/as of \d\d:\d\d/);
  await expect(head.locator("div").first()).toHaveCSS("filter", "grayscale(1)");
  await expect.poll(() => Date.now() - killed).toBeGreaterThan(AWAY_MS);
  service = await serve();
  await expect(banner.getByText(/live since/)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole("region", { name: "Verdict" })).not.toContainText("as of");
  await expect(head).not.toContainText("as of");

  await asTable.click();
  const gap = table.getByRole("row").filter({ hasText: "The service was away" }).first();
  await expect(gap).toBeVisible({ timeout: 60_000 });
  const gone = minuteOf((await gap.getByRole("rowheader").textContent()) ?? "");
  await expect(gap.getByRole("cell").first()).toContainText(/≥ \d|no data/);
  await page.screenshot({ path: "test-results/looks/a gap as a table.png" });
  await asTable.click();
  // Its hatch, beside the line and the grid that every minute has.
  await expect.poll(() => painted(page, /Chart of TTS/, gone)).toBeGreaterThan(plain + 100);
  await page.screenshot({ path: "test-results/looks/a gap.png" });
  // Its mark, and what the crosshair reads there.
  await chart.getByRole("button", { name: /The service was away/ }).hover();
  await expect(page.locator("[data-readout='3']")).toContainText(/(at least|no data).*The service was away/);
});

test("a peak that is not exact has the sign that the command line has, and says why", async ({ page }) => {
  await callsOf(OWN_PORT).limits.setLimit({ project: "bounds", target: meter(Kind.TTS, "acme/new"), slots: 20, setBy: "test" });
  // How a peak is to be read is known once its second is over: the page that watches is told then, though nothing else changed.
  await page.goto("/p/bounds/quotas");
  await expect(page.getByRole("row", { name: /acme\/new/ })).toBeVisible();
  await midMinute();
  await opens("bounds", Kind.TTS, "acme/new", 9);
  await expect(page.getByRole("row", { name: /acme\/new/ })).toContainText("9");
  await expect.poll(() => execFileSync(binary(), ["quotas", "--server", ORIGIN, "--project", "bounds"], { encoding: "utf8" })).toContain("≥9");
  const why = "at least 9: not all was known then";
  const row = page.getByRole("row", { name: /acme\/new/ });
  await expect(row.getByTitle(why).first()).toHaveText("≥at least 9");
  await expect(row.getByRole("img", { name: "9 of 20 held, seven-day peak at least 9" })).toBeVisible();
  // Of its kind as a whole too, and in its detail.
  await expect(page.getByRole("region", { name: "TTS", exact: true }).locator("header").getByTitle(why)).toHaveText("≥at least 9");
  await row.getByRole("button", { name: "acme/new", exact: true }).click();
  await expect(page.getByRole("region", { name: "Detail of acme/new" }).getByTitle(why)).toBeVisible();
});

test("a tile shows a limit that is set on the meter of its kind, and that it is exceeded", async ({ page }) => {
  await callsOf(OWN_PORT).limits.setLimit({ project: "agents", target: meter(Kind.AGENT, ""), slots: 2, setBy: "test" });
  await opens("agents", Kind.AGENT, "", 3);
  await page.goto("/p/agents/quotas");
  const tile = page.getByRole("region", { name: "Connections" }).getByRole("listitem").filter({ hasText: "Agent sessions" });
  await expect(tile).toContainText("3 of 2");
  await expect(tile).toContainText("over");
  await expect(tile.getByRole("button", { name: /^Alert of Agent sessions/ }).first()).toBeVisible({ timeout: 60_000 });
  await tile.getByRole("button", { name: "Agent sessions", exact: true }).click();
  await expect(page.getByRole("slider", { name: /^Limit of/ })).toHaveAttribute("aria-valuenow", "2");
});

test("a narrow window sorts by touch, names the lines of a chart, and no key falls on what is not seen", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const [model, level] of [["acme/one", 1], ["acme/two", 5], ["acme/three", 3]] as const) await opens("narrow", Kind.TTS, model, level);
  await page.goto("/p/narrow/quotas");
  const models = page.getByRole("table", { name: "Models of TTS" });
  const names = models.getByRole("rowheader").getByRole("button");
  await expect(names).toHaveCount(3);
  const by = page.getByLabel("Sort Models of TTS by");
  await by.selectOption("Now");
  await expect(names).toHaveText([/two/, /three/, /one/]);
  await page.getByRole("button", { name: "Highest first: turn the order" }).click();
  await expect(names).toHaveText([/one/, /three/, /two/]);
  await expect(models.locator("thead button:visible")).toHaveCount(0);
  const lines = page.getByRole("list", { name: /^Lines of the chart of TTS/ });
  await expect(lines.getByRole("listitem")).toHaveCount(4);
  await lines.getByRole("button", { name: "acme/two" }).click();
  await expect(page).toHaveURL(/select=tts\/acme\/two/);
  await expect(lines.getByRole("button", { name: "acme/two" })).toHaveAttribute("aria-pressed", "true");
  await expectFits(page);
  await expectAccessible(page);
  await page.screenshot({ path: "test-results/looks/narrow.png" });
});

test("a project without anything shows how to begin", async ({ page }) => {
  await page.goto("/p/nothing-yet/quotas");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByRole("banner").getByText("nothing reported yet")).toBeVisible();
  await expectAccessible(page);
});

test("two hundred models, names of 120 letters, a limit of 0, levels of 100,000", async ({ page }) => {
  test.setTimeout(180_000);
  const { limits } = callsOf(OWN_PORT);
  const long = `provider/${"m".repeat(111)}`;
  for (let nth = 0; nth < 198; nth++) await limits.setLimit({ project: "many", target: meter(Kind.LLM, `provider/model-${nth}`), slots: 5 + nth, setBy: "test" });
  await limits.setLimit({ project: "many", target: meter(Kind.LLM, long), slots: 0, setBy: "test" });
  await limits.setLimit({ project: "many", target: meter(Kind.LLM, "provider/wide"), slots: 100_000, setBy: "test" });
  await opens("many", Kind.LLM, "provider/wide", 99_999);
  await opens("many", Kind.LLM, long, 1);
  await page.goto("/p/many/quotas");
  const models = page.getByRole("table", { name: "Models of LLM" });
  await expect(models.getByRole("row", { name: new RegExp("m".repeat(100)) })).toContainText("over");
  await expect(models.getByRole("row", { name: /provider\/wide/ })).toContainText(/99,999.*100,000/);
  await page.getByRole("button", { name: /^Show \d+ more/ }).click();
  await expect(models.getByRole("rowheader")).toHaveCount(200);
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 900 });
    await expectFits(page);
    await page.screenshot({ path: `test-results/looks/many ${width}.png` });
  }
});
