// A provider that fails in the demo: its model is down, the fallback is used, in the rows of quotas and on the chain, and an
// alert says so; then sessions return. On a demo of its own, whose provider fails for nobody else.
import { type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ownPort } from "../playwright.config";
import { callsOf, expect, expectAccessible, openQuotas, test } from "./page";
import { start, stop } from "./service";

const OWN_PORT = ownPort(8);
test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}` });

/** It fails for 90 s, is tried again at growing distances, and returns by and by. */
const RETURNS_WITHIN_MS = 480_000;
const [PRIMARY, FALLBACK] = ["ElevenLabs Turbo v2.5", "Cartesia Sonic 3"] as const;

let service: ChildProcess;
let place = "";
test.beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "highwater-demo-"));
  service = await start(["demo", "--dir", join(place, "demo")], OWN_PORT);
});
test.afterAll(async () => {
  await stop(service);
  rmSync(place, { recursive: true, force: true });
});

test("a provider fails: it is down, the fallback is in use, an alert fires, and sessions return", async ({ page }, info) => {
  test.setTimeout(RETURNS_WITHIN_MS + 120_000);
  await openQuotas(page);
  const rows = page.getByRole("table", { name: "Models of TTS" });
  const row = (name: string) => rows.getByRole("row", { name: new RegExp(name) });
  await page.getByRole("complementary", { name: "Demo" }).getByRole("button", { name: "Fail a provider" }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("ElevenLabs fails for 90 seconds");
  await expect(row(PRIMARY).getByRole("link", { name: `Route of ${PRIMARY}: chain voice: down` })).toBeVisible();
  await expect(row(PRIMARY)).toContainText("provider down");
  await expect(row(FALLBACK).getByRole("link", { name: `Route of ${FALLBACK}: chain voice: fallback in use` })).toBeVisible();
  await expect(page.getByRole("button", { name: new RegExp(`^Alert of ${PRIMARY}:`) })).toBeVisible({ timeout: 60_000 });
  const turn = `Chain voice: the provider of ${PRIMARY} is down, new sessions go to ${FALLBACK}`;
  await expect(page.getByRole("region", { name: "TTS", exact: true }).getByRole("button", { name: turn })).toBeVisible({ timeout: 60_000 });
  await expectAccessible(page);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of [[1440, 900], [1280, 800], [390, 844]] as const) {
      await page.setViewportSize({ width, height });
      await rows.scrollIntoViewIfNeeded();
      await page.screenshot({ path: info.outputPath(`down ${width} ${colorScheme}.png`) });
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await row(PRIMARY).getByRole("link", { name: /^Route of/ }).click();
  const voice = page.getByRole("region", { name: "Chain voice" });
  await expect(voice.getByRole("status", { name: "Route of voice" })).toContainText("Fallback in use");
  await page.screenshot({ path: info.outputPath("chain, down.png") });
  await expect(voice.getByRole("status", { name: "Route of voice" })).toHaveText(`New sessions go to ${PRIMARY}.`, { timeout: RETURNS_WITHIN_MS });
  const { demo } = callsOf(OWN_PORT);
  expect((await demo.listMails({})).mails.map(({ subject }) => subject).join("\n")).toMatch(/down/);
});

test("a busy hour fills a model, and new sessions go to its fallback", async ({ page }) => {
  await openQuotas(page);
  const rows = page.getByRole("table", { name: "Models of TTS" });
  await page.getByRole("complementary", { name: "Demo" }).getByRole("button", { name: "Busy hour" }).click();
  await expect(rows.getByRole("row", { name: new RegExp(FALLBACK) }).getByRole("link", { name: /chain voice: fallback/ })).toBeVisible();
  await expect(rows.getByRole("row", { name: new RegExp(PRIMARY) })).toContainText(/\d+ diverted/);
});
