// The page against a naive sweep over a month of real calls: what it shows is what happened. Skipped where the trace is absent.
import { type ChildProcess, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ownPort } from "../playwright.config";
import { expect, spoken, test } from "./page";
import { binary, start, stop } from "./service";

const TRACE = process.env["HIGHWATER_TRACE"] ?? join(import.meta.dirname, "../../../shared/data/calls-1999-01.csv");
const OWN_PORT = ownPort(2);
const WEEK = 7 * 86_400;
const MINUTES = 20;

test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}` });
test.skip(!existsSync(TRACE), `There is no ${TRACE}.`);

interface Peaks {
  /** Peak of each minute, by its start. */
  byMinute: Map<number, number>;
  /** Highest level from a time on, and the second in which it was first reached. */
  from: (since: number) => { level: number; at: number };
}

/** At one instant what ends is over before what begins. */
function sweep(intervals: [number, number][]): Peaks {
  const ends = intervals.flatMap(([a, b]): [number, number][] => [[a, 1], [b, -1]]).sort((x, y) => x[0] - y[0] || x[1] - y[1]);
  const byMinute = new Map<number, number>();
  const levels: [number, number][] = [];
  let level = 0;
  let nth = 0;
  const take = (end: number, endsToo: boolean) => {
    for (let next = ends[nth]; next && (next[0] < end || (endsToo && next[0] === end && next[1] < 0)); next = ends[++nth]) {
      level += next[1];
      levels.push([next[0], level]);
      minutePeak = Math.max(minutePeak, level);
    }
  };
  let minutePeak = 0;
  const last = ends.at(-1)?.[0] ?? 0;
  for (let minute = Math.floor((ends[0]?.[0] ?? 0) / 60) * 60; minute < last; minute += 60) {
    take(minute, true);
    minutePeak = level;
    take(minute + 60, false);
    byMinute.set(minute, minutePeak);
  }
  return {
    byMinute,
    from: (since) => {
      let best = { level: 0, at: since };
      for (const [at, now] of levels) if (at >= since && now > best.level) best = { level: now, at };
      return best;
    },
  };
}

let service: ChildProcess | undefined;
let place = "";
const found = new Map<string, [number, number][]>();

test.beforeAll(async () => {
  test.setTimeout(300_000);
  place = mkdtempSync(join(tmpdir(), "highwater-e2e-oracle-"));
  const store = join(place, "store.redb");
  execFileSync(binary(), ["import", TRACE, "--store", store, "--project", "calls", "--shift", "auto"], { stdio: "ignore" });
  const rows = readFileSync(TRACE, "utf8").trim().split("\n").slice(1).map((line) => line.split(","));
  const seconds = (text = "") => Date.parse(text) / 1_000;
  const last = Math.max(...rows.map((row) => seconds(row[5])));
  const shift = Math.floor((Date.now() / 1_000 - last) / WEEK) * WEEK;
  for (const [, , kind = "", model = "", connected, disconnected] of rows) {
    const interval: [number, number] = [seconds(connected) + shift, seconds(disconnected) + shift];
    for (const key of [`${kind}/${model}`, `pool:${kind}`]) {
      const list = found.get(key);
      if (list) list.push(interval);
      else found.set(key, [interval]);
    }
  }
  service = await start(["serve", "--dev", "--store", store], OWN_PORT);
});
test.afterAll(async () => {
  if (service) await stop(service);
  rmSync(place, { recursive: true, force: true });
});

test("every row's peak, the pools' peaks, and twenty minutes under the crosshair are those of the sweep", async ({ page }) => {
  test.setTimeout(180_000);
  await page.goto("/p/calls/quotas");
  await expect(page.getByRole("region", { name: "TTS" }).locator(".uplot canvas")).toBeVisible();
  const since = Math.floor(Date.now() / 60_000) * 60 - WEEK;
  const said = (peak: { level: number; at: number }, between: string) =>
    new RegExp(`${peak.level}${between}(${spoken(peak.at).join("|")})`);
  for (const [key, intervals] of found) {
    const peak = sweep(intervals).from(since);
    if (key.startsWith("pool:")) {
      await expect(page.getByRole("region", { name: key.slice(5).toUpperCase(), exact: true }).locator("header").first()).toContainText(said(peak, ", "));
    } else {
      const row = page.locator(`[data-row="${key}"]`);
      if (peak.level > 0) await expect(row).toContainText(said(peak, " · "));
    }
  }
  const key = "tts/elevenlabs/eleven_turbo_v2_5";
  const { byMinute } = sweep(found.get(key) ?? []);
  const starts = [...byMinute.keys()].filter((at) => at > since && (byMinute.get(at) ?? 0) > 0);
  const chosen = Array.from({ length: MINUTES }, (_, nth) => starts[Math.floor(((nth + 0.5) * starts.length) / MINUTES)] ?? 0);
  const readout = page.locator("[data-readout='3'] strong");
  for (const at of chosen) {
    // An hour around it: a minute is many pixels wide, and the crosshair steps to it.
    await page.goto(`/p/calls/quotas?from=${at - 1_800}&to=${at + 1_800}&select=${key}`);
    await page.getByRole("group", { name: /Chart of TTS/ }).locator(".uplot canvas").waitFor();
    await page.getByRole("group", { name: /Chart of TTS/ }).focus();
    await page.keyboard.press("Home");
    for (let ten = 0; ten < 3; ten++) await page.keyboard.press("Shift+ArrowRight");
    await expect(readout).toHaveText(new RegExp(`^(${spoken(at).join("|")}) · ${byMinute.get(at)} `));
  }
});
