// What happens to the page while it is looked at, and what it does with much, with nothing, and with the odd; on a service of its own.
import { randomBytes } from "node:crypto";
import { type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { IngestService } from "../src/gen/highwater/v1/ingest_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { ownPort } from "../playwright.config";
import { callsOf, expect, expectAccessible, expectFits, test } from "./page";
import { start, stop } from "./service";

const OWN_PORT = ownPort(1);
const ORIGIN = `http://127.0.0.1:${OWN_PORT}`;
/** What a session may take until it is seen. */
const SEEN_WITHIN_MS = 1_500;
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

test("a session shows at once, and a service that is gone is said so until it is back", async ({ page }) => {
  const { limits } = callsOf(OWN_PORT);
  await limits.setLimit({ project: "live", target: meter(Kind.TTS, "cartesia/sonic-3"), slots: 3, setBy: "test" });
  await page.goto("/p/live/quotas");
  const row = page.getByRole("row", { name: /Sonic 3/ });
  await expect(row).toBeVisible();
  await opens("live", Kind.TTS, "cartesia/sonic-3", 2);
  await expect(row).toContainText(/2\D/, { timeout: SEEN_WITHIN_MS + 1_000 });
  await expect(page.getByText(/live since/)).toBeVisible();
  await stop(service, "SIGKILL");
  await expect(page.getByRole("banner").getByText(/as of \d\d:\d\d/)).toBeVisible();
  service = await serve();
  await expect(page.getByRole("banner").getByText(/live since|settling/)).toBeVisible({ timeout: 30_000 });
});

test("a project without anything shows how to begin", async ({ page }) => {
  await page.goto("/p/nothing-yet/quotas");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
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
