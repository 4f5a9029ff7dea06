// What every test has: a page that fails the test on a violation of the policy, on an error, and on a script that was stored.
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import AxeBuilder from "@axe-core/playwright";
import { type Locator, type Page, expect, test as base } from "@playwright/test";

import { AdminService } from "../src/gen/highwater/v1/admin_pb";
import { AlertService } from "../src/gen/highwater/v1/alert_pb";
import { ChainService } from "../src/gen/highwater/v1/chain_pb";
import { DemoService } from "../src/gen/highwater/v1/demo_pb";
import { LimitService } from "../src/gen/highwater/v1/limit_pb";
import { QuotaService } from "../src/gen/highwater/v1/quota_pb";
import { RequestService } from "../src/gen/highwater/v1/request_pb";
import { PORT } from "../playwright.config";

const DIST = join(import.meta.dirname, "..", "dist");
const TYPES: Record<string, string> = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8" };

/** The service's calls, to compare what the page shows with. */
export function callsOf(port = PORT, token = "") {
  const transport = createGrpcWebTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("X-Highwater", "1");
        request.header.set("Origin", `http://127.0.0.1:${port}`);
        if (token) request.header.set("Authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return {
    admin: createClient(AdminService, transport),
    quotas: createClient(QuotaService, transport),
    limits: createClient(LimitService, transport),
    requests: createClient(RequestService, transport),
    alerts: createClient(AlertService, transport),
    chains: createClient(ChainService, transport),
    demo: createClient(DemoService, transport),
  };
}

/** The built page over a binary that holds another one: under the policy that the binary sends. */
async function layOver(page: Page, origin: string): Promise<void> {
  const index = readFileSync(join(DIST, "index.html"), "utf8");
  const held = await fetch(`${origin}/`);
  if ((await held.text()) === index) return;
  const policy = held.headers.get("content-security-policy") ?? "";
  // Of all tabs of the test.
  await page.context().route(
    (url) => url.origin === origin && !url.pathname.startsWith("/highwater.v1.") && url.pathname !== "/session",
    (route) => {
      const file = join(DIST, new URL(route.request().url()).pathname);
      const isFile = extname(file) !== "" && existsSync(file);
      return route.fulfill({
        body: isFile ? readFileSync(file) : index,
        headers: { "content-type": TYPES[isFile ? extname(file) : ".html"] ?? "application/octet-stream", "content-security-policy": policy },
      });
    },
  );
}

export const test = base.extend<{ port: number; watched: string[] }>({
  port: [PORT, { option: true }],
  watched: [
    async ({ page, port }, use) => {
      const wrong: string[] = [];
      await layOver(page, `http://127.0.0.1:${port}`);
      // Of all tabs of the test.
      const context = page.context();
      await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
      });
      context.on("weberror", (error) => wrong.push(`error: ${error.error().message}`));
      context.on("dialog", (dialog) => {
        wrong.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      context.on("console", (message) => {
        if (/^policy:|Content Security Policy|Trusted ?Type/i.test(message.text())) wrong.push(message.text());
      });
      await use(wrong);
      expect(wrong, "violations, errors and dialogs").toEqual([]);
    },
    { auto: true },
  ],
});

const inBerlin = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", ...options });
const [weekday, date, time] = [inBerlin({ weekday: "short" }), inBerlin({ day: "numeric", month: "short" }), inBerlin({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" })];
/** "Tue 14:03" or "19 Nov 14:03", as the page says it in the tests' zone. */
export const spoken = (seconds: number): string[] => [weekday, date].map((day) => `${day.format(seconds * 1_000)} ${time.format(seconds * 1_000)}`);

/** Waits until a minute is under way, and not nearly over: what begins now was not covered from its start. */
export const midMinute = (): Promise<void> =>
  expect
    .poll(() => {
      const second = new Date().getSeconds();
      return second > 1 && second < 45;
    }, { timeout: 60_000 })
    .toBe(true);

/** The quota page of the demo, with its charts. */
export async function openQuotas(page: Page, query = ""): Promise<void> {
  await page.goto(`/p/demo/quotas${query}`);
  await expect(page.getByRole("region", { name: "TTS" }).getByRole("group", { name: /Chart of TTS/ }).locator(".uplot canvas")).toBeVisible();
}

/** Where something stands, once it stands still: what is above it may be on its way. */
export async function boxOf(of: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
  let before = "";
  let box = await of.boundingBox();
  await expect(async () => {
    box = await of.boundingBox();
    const now = JSON.stringify(box);
    const stands = box !== null && now === before;
    before = now;
    expect(stands).toBe(true);
  }).toPass({ intervals: [100] });
  if (!box) throw new Error("It is not there.");
  return box;
}

/** Nothing serious for who does not see it, or sees it otherwise. */
export async function expectAccessible(page: Page): Promise<void> {
  // The page has no frames to gather from, which the newer mode opens a tab of its own for.
  const found = await new AxeBuilder({ page }).setLegacyMode(true).options({ resultTypes: ["violations"] }).analyze();
  const serious = found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} (${node.any.map((check) => check.message).join("; ")})`).join("\n  ")}`);
  expect(serious).toEqual([]);
}

/** Nothing stands beyond the edge, once charts have taken their new width. */
export const expectFits = (page: Page): Promise<void> =>
  expect
    .poll(() => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), { message: "pixels beyond the edge" })
    .toBeLessThanOrEqual(0);

/** Charts that are in sight are drawn in the width that they have now. */
const expectDrawn = (page: Page): Promise<void> =>
  expect
    .poll(() =>
      page.evaluate(() =>
        [...document.querySelectorAll("[data-chart]")]
          .filter((chart) => chart.getBoundingClientRect().top < innerHeight && chart.checkVisibility({ contentVisibilityAuto: true }))
          .every((chart) => chart.querySelector(".uplot")?.clientWidth === chart.clientWidth),
      ),
    )
    .toBe(true);

const THEMES = ["light", "dark"] as const;
const SIZES = [
  { width: 1920, height: 1080 },
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];

/** It fits and is accessible in every width and theme; leaves a picture of each. */
export async function looksRight(page: Page, name: string, { fullPage = false } = {}): Promise<void> {
  for (const size of SIZES) {
    await page.setViewportSize(size);
    await expectFits(page);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme });
      await expectDrawn(page);
      await page.screenshot({ path: `test-results/looks/${name} ${size.width} ${colorScheme}.png`, fullPage });
      await test.step(`${size.width} ${colorScheme}`, () => expectAccessible(page));
    }
  }
}

export { expect };
