// The demo's inbox: a busy hour mails, and the mail leads to its row. On a demo of its own, which is quiet before.
import { type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ownPort } from "../playwright.config";
import { callsOf, expect, expectAccessible, expectFits, test } from "./page";
import { start, stop } from "./service";

const OWN_PORT = ownPort(6);
/** Two minutes above a threshold, a busy hour's rise before, and a busy machine. */
const MAILED_WITHIN_MS = 420_000;

test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}` });

let service: ChildProcess;
let place = "";
test.beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "highwater-inbox-"));
  service = await start(["demo", "--dir", join(place, "demo")], OWN_PORT);
});
test.afterAll(async () => {
  await stop(service);
  rmSync(place, { recursive: true, force: true });
});

test("a busy hour mails, the mail is shown in a frame without scripts, and its link opens the page on its row", async ({ page, port }, info) => {
  test.setTimeout(MAILED_WITHIN_MS + 120_000);
  const { demo } = callsOf(port);
  await page.goto("/p/demo/requests");
  const bar = page.getByRole("complementary", { name: "Demo" });
  await bar.getByRole("button", { name: "Busy hour" }).click();
  await bar.getByRole("button", { name: /^Inbox/ }).click();
  const inbox = page.getByRole("dialog", { name: "Inbox" });
  await expect(inbox).toContainText("Development aid");
  await expect(inbox).toContainText("No mail leaves this machine.");
  await expect.poll(async () => (await demo.listMails({})).mails.length, { timeout: MAILED_WITHIN_MS, intervals: [2_000] }).toBeGreaterThan(0);
  const list = inbox.getByRole("list", { name: "Mails" });
  await expect(list.getByRole("button").first()).toContainText("[demo]");
  const { mails } = await demo.listMails({});
  // The oldest fired; later ones may tell of ends.
  const first = mails.at(-1);
  await page.goto(`/p/demo/requests?inbox=${first?.id}`);
  await expect(inbox.getByRole("heading", { name: first?.subject ?? "" })).toBeVisible();
  const frame = page.locator("iframe");
  await expect(frame).toHaveAttribute("sandbox", /^(?!.*allow-scripts).*$/);
  const mail = frame.contentFrame();
  const open = mail.getByRole("link", { name: /Open the page|Show|row/i }).first();
  await expect(open).toBeVisible();
  // Its own styles are in force, and its picture is there.
  expect(await mail.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor)).not.toBe("rgba(0, 0, 0, 0)");
  await expect.poll(() => mail.locator("img").evaluateAll((of) => of.map((image) => (image as HTMLImageElement).naturalWidth))).toContainEqual(expect.any(Number));
  expect(Math.min(...(await mail.locator("img").evaluateAll((of) => of.map((image) => (image as HTMLImageElement).naturalWidth))))).toBeGreaterThan(0);
  await expectAccessible(page);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: info.outputPath(`inbox ${colorScheme}.png`) });
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectFits(page);
  await page.screenshot({ path: info.outputPath("inbox 390.png") });
  await page.setViewportSize({ width: 1440, height: 900 });

  await inbox.getByRole("button", { name: "As text" }).click();
  await expect(inbox.getByLabel("Text of the mail")).toContainText("/p/demo/quotas?select=");
  await inbox.getByRole("button", { name: "Source" }).click();
  await expect(inbox.getByLabel("Source of the mail")).toContainText("Message-ID:");
  await inbox.getByRole("button", { name: "As it looks" }).click();

  await open.click();
  await expect(page).toHaveURL(/\/p\/demo\/quotas\?select=/);
  await expect(inbox).toBeHidden();
  const key = new URL(page.url()).searchParams.get("select") ?? "";
  const row = page.locator(`[data-row="${key}"]`);
  if (!key.startsWith("pool:")) await expect(row).toHaveAttribute("aria-selected", "true");
  // What fires in the demo is counted and marked, many at once.
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: /^Alerts/ }).click();
  await expect(page.getByRole("table", { name: /Firing now|Past alerts/ }).first()).toBeVisible();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: info.outputPath(`alerts ${colorScheme}.png`), fullPage: true });
  }
});
