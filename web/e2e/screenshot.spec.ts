// The pictures that the README opens with, of the demo in the middle of its afternoon: `npm run screenshot`.
import { type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ownPort } from "../playwright.config";
import { expect, openQuotas, test } from "./page";
import { start, stop } from "./service";

const OWN_PORT = ownPort(5);
const DOCS = join(import.meta.dirname, "../../docs");
/** What a picture may weigh in a README. */
const MOST_BYTES = 300_000;
/** The made-up fleet is busiest at this hour of its own day, so it is told to live where it is that hour now. */
const BUSIEST_HOUR = 14;
const behind = (new Date().getUTCHours() - BUSIEST_HOUR + 24) % 24;
// West of Greenwich is plus in these names; there are 14 hours to its east.
const ZONE = behind <= 12 ? `Etc/GMT+${behind}` : `Etc/GMT-${24 - behind}`;
/** How long it may take until the model that is busiest then is near its limit. */
const NEAR_WITHIN_MS = 600_000;

test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}`, timezoneId: ZONE, viewport: { width: 1440, height: 900 } });

let service: ChildProcess;
let place = "";
test.beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "highwater-screenshot-"));
  service = await start(["demo", "--dir", join(place, "demo")], OWN_PORT, { TZ: ZONE });
});
test.afterAll(async () => {
  await stop(service);
  rmSync(place, { recursive: true, force: true });
});

test("the quota page, light and dark @screenshot", async ({ page }) => {
  test.setTimeout(NEAR_WITHIN_MS + 120_000);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await openQuotas(page);
  const tts = page.getByRole("region", { name: "TTS", exact: true });
  await expect(page.locator("[data-row='tts/elevenlabs/eleven_turbo_v2_5']")).toContainText(/approaching|at limit/, { timeout: NEAR_WITHIN_MS });
  await expect(page.getByLabel("Loading")).toHaveCount(0);
  // Five rows stand above the fold.
  const fifth = await tts.getByRole("rowheader").nth(4).boundingBox();
  expect((fifth?.y ?? Infinity) + (fifth?.height ?? 0)).toBeLessThanOrEqual(900);
  await page.mouse.move(0, 0);
  for (const [colorScheme, name] of [["light", "quota-page.png"], ["dark", "quota-page-dark.png"]] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.screenshot({ path: join(DOCS, name), animations: "disabled" });
    expect(statSync(join(DOCS, name)).size).toBeLessThanOrEqual(MOST_BYTES);
  }
});
