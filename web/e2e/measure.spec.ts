// How fast the page is, printed and never asserted: machines differ. `npm run measure`.
import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ownPort } from "../playwright.config";
import { expect, test } from "./page";
import { binary, start, stop } from "./service";

const OWN_PORT = ownPort(3);
const MODELS = 20;
const WEEK = 7 * 86_400;
const CALLS_EACH = 2_000;
const HOVER_MS = 3_000;
const ROUNDS = 3;

test.use({ port: OWN_PORT, baseURL: `http://127.0.0.1:${OWN_PORT}` });

let service: ChildProcess | undefined;
let place = "";

/** A week of calls on so many models: each has its own rhythm. */
function trace(now: number): string {
  let seed = 7;
  const random = () => ((seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31);
  const rows: [number, string][] = [];
  const kinds = ["tts", "stt", "llm", "realtime"];
  for (let model = 0; model < MODELS; model++) {
    for (let call = 0; call < CALLS_EACH; call++) {
      const begun = Math.floor(now - WEEK + random() * (WEEK - 600));
      const [from, to] = [begun, begun + 30 + Math.floor(random() * 500)].map((at) => new Date(at * 1_000).toISOString());
      rows.push([begun, `${model}-${call},w,${kinds[model % kinds.length]},acme/model-${model},${from},${to}`]);
    }
  }
  rows.sort((a, b) => a[0] - b[0]);
  return `session_id,worker_id,kind,model,connected_at,disconnected_at\n${rows.map(([, row]) => row).join("\n")}\n`;
}

test.beforeAll(async () => {
  test.setTimeout(300_000);
  place = mkdtempSync(join(tmpdir(), "highwater-measure-"));
  const store = join(place, "store.redb");
  const file = join(place, "calls.csv");
  writeFileSync(file, trace(Math.floor(Date.now() / 60_000) * 60));
  execFileSync(binary(), ["import", file, "--store", store, "--project", "measured"], { stdio: ["ignore", "ignore", "inherit"] });
  service = await start(["serve", "--dev", "--store", store], OWN_PORT);
});
test.afterAll(async () => {
  if (service) await stop(service);
  rmSync(place, { recursive: true, force: true });
});

test(`${MODELS} models and seven days: how soon all is painted, and how many frames a hover keeps @measure`, async ({ page }) => {
  test.setTimeout(180_000);
  const painted: number[] = [];
  // The main thread's own time, which other work of the machine does not stretch.
  const tools = await page.context().newCDPSession(page);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const own = async () => ((await tools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0) * 1_000;
  const worked: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await page.goto("about:blank");
    const before = await own();
    await page.goto("/p/measured/quotas?select=tts/acme/model-0");
    // From the navigation to the frame after the last chart and row are there.
    painted.push(
      await page.evaluate(
        (models) =>
          new Promise<number>((done) => {
            const look = () => {
              const isWhole = document.querySelectorAll(".uplot canvas").length >= 4 && document.querySelectorAll("[data-row]").length >= models;
              if (!isWhole) requestAnimationFrame(look);
              else requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
            };
            look();
          }),
        MODELS,
      ),
    );
    worked.push((await own()) - before);
  }
  const box = await page.getByRole("group", { name: /Chart of TTS/ }).boundingBox();
  if (!box) throw new Error("There is no chart.");
  const counted = page.evaluate(
    (long) =>
      new Promise<{ frames: number; longest: number; ms: number }>((done) => {
        const begun = performance.now();
        let [frames, longest, last] = [0, 0, begun];
        const next = (at: number) => {
          frames++;
          longest = Math.max(longest, at - last);
          last = at;
          if (at - begun < long) requestAnimationFrame(next);
          else done({ frames, longest, ms: at - begun });
        };
        requestAnimationFrame(next);
      }),
    HOVER_MS,
  );
  const end = Date.now() + HOVER_MS;
  const before = await own();
  let moves = 0;
  for (let x = 60; Date.now() < end; x = x > box.width - 200 ? 60 : x + 5, moves++) await page.mouse.move(box.x + x, box.y + 100);
  const { frames, longest, ms } = await counted;
  const aMove = ((await own()) - before) / moves;
  const whole = (times: number[]) => times.map(Math.round).join(", ");
  console.log(`painted whole after ${whole(painted)} ms, of which the main thread worked ${whole(worked)} ms`);
  console.log(`hovering: ${((frames * 1_000) / ms).toFixed(1)} frames a second, the longest of them ${Math.round(longest)} ms; a move takes ${aMove.toFixed(1)} ms of the main thread`);
  expect(frames).toBeGreaterThan(0);
});
