// What the page says where history does not fill its window, and where there are more lines than it reads by the minute: imported.
import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Page } from "@playwright/test";

import { ownPort } from "../playwright.config";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, expectAccessible, expectFits, spoken, test } from "./page";
import { binary, start, stop } from "./service";

const OWN_PORT = ownPort(4);
const [MINUTE, HOUR, DAY] = [60, 3_600, 86_400];
const NOW = Math.floor(Date.now() / 600_000) * 600;
/** The first call of a history that begins within the first day of the window, and of one of three days. */
const [BEGUN, THREE_DAYS] = [NOW - 7 * DAY + 5 * HOUR, NOW - 3 * DAY - 4 * HOUR];
/** More than the page reads by the minute. */
const MODELS = 45;
const SPIKE = { model: "acme/model-7", at: NOW - 3 * DAY + 4 * MINUTE, level: 9 };

test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}` });

type Call = [kind: string, model: string, from: number, seconds: number];

let service: ChildProcess | undefined;
let place = "";

test.beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "highwater-e2e-imported-"));
  const store = join(place, "store.redb");
  const put = (project: string, calls: Call[]) => {
    const file = join(place, `${project}.csv`);
    const iso = (at: number) => new Date(at * 1_000).toISOString();
    const rows = calls.toSorted((a, b) => a[2] - b[2]).map(([kind, model, from, long], nth) => `${nth},w,${kind},${model},${iso(from)},${iso(from + long)}`);
    writeFileSync(file, `session_id,worker_id,kind,model,connected_at,disconnected_at\n${rows.join("\n")}\n`);
    execFileSync(binary(), ["import", file, "--store", store, "--project", project], { stdio: ["ignore", "ignore", "inherit"] });
  };
  /** A call of ten minutes in each hour from a time on. */
  const hourly = (model: string, since: number): Call[] => {
    const calls: Call[] = [];
    for (let at = since; at < NOW - HOUR; at += HOUR) calls.push(["tts", model, at, 600]);
    return calls;
  };
  put("begun", hourly("acme/voice", BEGUN));
  put("three", hourly("acme/voice", THREE_DAYS));
  put("older", [...hourly("acme/voice", NOW - 9 * DAY).filter(([, , at]) => at < NOW - 8 * DAY), ...hourly("acme/voice", THREE_DAYS)]);
  const many: Call[] = [];
  for (let nth = 0; nth < MODELS; nth++) for (let at = NOW - 6 * DAY; at < NOW; at += DAY) many.push(["llm", `acme/model-${nth}`, at + nth * 300, 900]);
  for (let nth = 0; nth < SPIKE.level; nth++) many.push(["llm", SPIKE.model, SPIKE.at + nth, 30]);
  put("many", many);
  service = await start(["serve", "--dev", "--store", store], OWN_PORT);
});
test.afterAll(async () => {
  if (service) await stop(service);
  rmSync(place, { recursive: true, force: true });
});

const tts = (page: Page) => page.getByRole("region", { name: "TTS", exact: true });

test("history that begins on the first day of the window says so, and history that is older does not", async ({ page }) => {
  await page.goto("/p/begun/quotas");
  const since = new RegExp(`no data before (${spoken(BEGUN).join("|")})`);
  await expect(tts(page).locator("header").first()).toContainText(since);
  const row = page.locator("[data-row='tts/acme/voice']");
  await expect(row.getByTitle(since)).toContainText("known since");
  await expectAccessible(page);
  await page.screenshot({ path: "test-results/looks/begun.png" });
  // Of a shorter window too: it is said of what is known at all.
  await page.goto("/p/begun/quotas?range=1h");
  await expect(tts(page).locator("header").first()).toContainText(since);
  await page.goto("/p/older/quotas");
  await expect(row).toContainText("1 · ");
  await expect(page.getByText(/no data before|known since/)).toHaveCount(0);
});

test("another limit is counted over what is known, and a limit of 0 over what was in use", async ({ page, port }) => {
  const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: "acme/voice" } } };
  await callsOf(port).limits.setLimit({ project: "three", target, slots: 5, setBy: "test" });
  await page.goto("/p/three/quotas?select=tts/acme/voice");
  await page.getByRole("slider", { name: /acme\/voice/ }).press("PageUp");
  const plan = page.getByRole("group", { name: "Another limit for acme/voice" });
  await expect(plan.getByRole("status")).toContainText("0 min full, 0 min at or above 90 % in the 3 days known");
  await plan.getByRole("textbox", { name: "Limit to try" }).fill("0");
  await expect(plan.getByRole("status")).toContainText(/\d+ h( \d+ min)? in use in the 3 days known, all of it over/);
  await page.screenshot({ path: "test-results/looks/a limit of 0.png" });
});

test("many lines are read by ten minutes and say so, no spike is lost, and what is selected is exact at each minute", async ({ page }) => {
  await page.goto("/p/many/quotas");
  const chart = page.getByRole("group", { name: /^Chart of LLM: peaks of 10 min/ });
  await expect(chart.locator(".uplot canvas")).toBeVisible();
  await expect(page.getByText(`${MODELS + 1} lines: each point is the highest of 10 min`)).toBeVisible();
  const read = page.locator("[data-readout='1']");
  const look = async () => {
    const [over, { from, to }] = [await chart.locator(".u-over").boundingBox(), { from: Math.ceil((Date.now() / 1_000 + 1) / 60) * 60 - 7 * DAY, to: Math.ceil((Date.now() / 1_000 + 1) / 60) * 60 }];
    if (!over) throw new Error("There is no chart.");
    const x = over.x + ((SPIKE.at + 30 - from) / (to - from)) * over.width;
    await page.mouse.move(x - 3, over.y + 100);
    await page.mouse.move(x, over.y + 100);
  };
  // The whole, which is read where nothing is selected: by the minute. Another model has a call then.
  await expect(async () => {
    await look();
    await expect(read).toHaveText(new RegExp(`^(${spoken(SPIKE.at).join("|")}) · ${SPIKE.level + 1} · no limit`), { timeout: 1_000 });
  }).toPass();
  await expect(read).not.toContainText("highest of");
  const all = page.getByRole("list", { name: /Every model at/ });
  await expect(all).toContainText("highest of 10 min");
  await expect(all.getByRole("listitem").filter({ hasText: "acme/model-7" }).first()).toContainText(String(SPIKE.level));
  // A selected one, and the minute after.
  await page.goto("/p/many/quotas?select=llm/acme/model-7");
  await expect(chart.locator(".uplot canvas")).toBeVisible();
  await expect(async () => {
    await look();
    await expect(read).toHaveText(new RegExp(`^(${spoken(SPIKE.at).join("|")}) · ${SPIKE.level} · no limitacme/model-7$`), { timeout: 1_000 });
  }).toPass();
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await expect(read).toHaveText(new RegExp(`^(${spoken(SPIKE.at + MINUTE).join("|")}) · 0 · no limit`));
  await expectFits(page);
  await page.screenshot({ path: "test-results/looks/many lines.png" });
});
