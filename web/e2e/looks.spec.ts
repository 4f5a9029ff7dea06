// What stands over the quota page or in place of it, in every width and theme.
import { type Page } from "@playwright/test";

import { expect, looksRight, openQuotas, test } from "./page";

const AT_RISK = "ElevenLabs Turbo v2.5";
const AT_RISK_KEY = "tts/elevenlabs/eleven_turbo_v2_5";

const LOOKS: Record<string, (page: Page) => Promise<void>> = {
  "the plan of a pool": async (page) => {
    await openQuotas(page);
    await page.getByRole("region", { name: "TTS", exact: true }).getByRole("button", { name: /^assigned/ }).click();
    await expect(page.getByRole("dialog", { name: "Assign TTS" }).getByRole("row", { name: /^Sum/ })).toBeVisible();
  },
  "another limit, by hand": async (page) => {
    await openQuotas(page, `?select=${AT_RISK_KEY}`);
    await page.getByRole("slider", { name: new RegExp(AT_RISK) }).press("PageUp");
    await expect(page.getByRole("group", { name: `Another limit for ${AT_RISK}` }).getByRole("status")).toContainText("last week");
  },
  "a request, with what is missing": async (page) => {
    await openQuotas(page);
    await page.getByRole("button", { name: `Request more of ${AT_RISK}` }).click();
    const dialog = page.getByRole("dialog", { name: `Request more of ${AT_RISK}` });
    await dialog.getByRole("button", { name: /^Request/ }).click();
    await expect(dialog.getByText(/Say why/)).toBeVisible();
  },
  "a chart as a table": async (page) => {
    await openQuotas(page, "?range=1h");
    await page.getByRole("region", { name: "TTS", exact: true }).getByRole("button", { name: /As table/ }).click();
    await expect(page.getByRole("region", { name: "The chart of TTS as a table" })).toBeVisible();
  },
  "the keys": async (page) => {
    await openQuotas(page);
    await page.keyboard.press("?");
    await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
  },
  "first use": async (page) => {
    await page.goto("/p/looked-at/quotas");
    await expect(page.getByRole("heading", { name: "Connect a worker to looked-at" })).toBeVisible();
  },
};

for (const [name, open] of Object.entries(LOOKS)) {
  test(`${name} @looks`, async ({ page }) => {
    await open(page);
    await looksRight(page, name);
  });
}
