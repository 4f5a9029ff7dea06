// The page in a real browser against the real service: HIGHWATER_BIN is its binary.
import { defineConfig } from "@playwright/test";

const THEMES = ["light", "dark"] as const;
const WIDTHS = { 390: 844, 1280: 800, 1920: 1080 } as const;

export const PORT = Number(process.env["HIGHWATER_E2E_PORT"] ?? 23_190);

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  fullyParallel: false,
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  globalSetup: "./e2e/service.ts",
  use: {
    baseURL: `http://127.0.0.1:${PORT}`,
    timezoneId: "Europe/Berlin",
    locale: "en-GB",
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
    trace: "off",
  },
  // What is looked at is looked at in every width and theme; what is done is done once.
  projects: [
    { name: "flows", grepInvert: /@looks/, use: { viewport: { width: 1440, height: 900 }, colorScheme: "light" } },
    ...THEMES.flatMap((colorScheme) =>
      Object.entries(WIDTHS).map(([width, height]) => ({
        name: `${width} ${colorScheme}`,
        grep: /@looks/,
        use: { viewport: { width: Number(width), height }, colorScheme },
      })),
    ),
  ],
});
