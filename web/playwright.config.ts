// The page in a real browser against the real service: HIGHWATER_BIN is its binary.
import { execFileSync } from "node:child_process";

import { defineConfig } from "@playwright/test";

/** Ports that the tests take: those of the demo, and ten of each worker's own services. */
const PORTS = 30;
/** Prints the first of so many free ports. */
const FREE = `
const listen = (port) => new Promise((done, failed) => {
  const server = require("node:net").createServer().once("error", failed);
  server.listen(port, "127.0.0.1", () => done(server));
});
(async () => {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const servers = await Promise.allSettled(Array.from({ length: ${PORTS} }, (_, nth) => listen(first + nth)));
    servers.forEach(({ value }) => value?.close());
    if (servers.every(({ status }) => status === "fulfilled")) return console.log(first);
  }
})();`;
// Chosen once, by the process that starts the workers.
process.env["HIGHWATER_E2E_PORT"] ??= execFileSync(process.execPath, ["-e", FREE], { encoding: "utf8" }).trim();
export const PORT = Number(process.env["HIGHWATER_E2E_PORT"]);
/** Ports of a worker's own services: nobody else's. */
export const ownPort = (nth: number): number => PORT + 10 * (1 + Number(process.env["TEST_PARALLEL_INDEX"] ?? 0)) + nth;
/** What is run when it is asked for by name alone: `npm run measure`, `npm run screenshot`. Workers are not told, and inherit it. */
const ASKED = (process.env["HIGHWATER_E2E_PROJECT"] ??= process.argv.find((word) => word.startsWith("--project="))?.slice("--project=".length) ?? "");

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  fullyParallel: false,
  // A browser beside the service that it looks at: two fill two cores.
  workers: 2,
  // Of a machine that has other things to do, too: nothing waits for these times when all is well.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  // A second try is told as flaky: the machine may have had other things to do.
  retries: 1,
  reporter: [["list"]],
  globalSetup: "./e2e/service.ts",
  use: {
    baseURL: `http://127.0.0.1:${PORT}`,
    viewport: { width: 1440, height: 900 },
    colorScheme: "light",
    timezoneId: "Europe/Berlin",
    locale: "en-GB",
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
    trace: "off",
  },
  // What is looked at is looked at in every width and theme (`looksRight`); what is done is done once.
  projects: [
{ name: "flows", grepInvert: /@looks|@measure|@screenshot/ },
    { name: "looks", grep: /@looks/ },
    ...["measure", "screenshot"].filter((name) => name === ASKED).map((name) => ({ name, grep: new RegExp(`@${name}`) })),
  ],
});
