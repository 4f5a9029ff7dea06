// The page where something is missing, mistyped or there twice.
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, expectAccessible, test } from "./page";
import { hold } from "./rooms";

const { limits } = callsOf();

test("a part that can't be loaded says so in its place, and is loaded when it can be", async ({ page }) => {
  const release = await hold("hardy", "s", Kind.TTS, "cartesia/sonic-3");
  await page.goto("/p/hardy/quotas");
  const row = page.locator("[data-row='tts/cartesia/sonic-3']");
  await expect(row).toBeVisible();
  const parts = /\/assets\/(detail|sessions)-/;
  await page.route(parts, (route) => route.abort());
  await row.getByRole("button", { name: "Cartesia Sonic 3", exact: true }).click();
  const missing = page.getByRole("alert").filter({ hasText: "The detail could not be read." });
  await expect(missing).toBeVisible();
  await expect(row).toBeVisible();
  await page.getByRole("link", { name: "Sessions" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "This view could not be read." })).toBeVisible();
  await page.unroute(parts);
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("table", { name: "Sessions" })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("region", { name: "Detail of Cartesia Sonic 3" })).toBeVisible();
  await release();
});

test("an address that is badly escaped leads to the page all the same", async ({ page }) => {
  await page.goto("/p/%E0%A4%A/quotas");
  await expect(page.getByRole("navigation", { name: "Views" })).toBeVisible();
});

test("an address that names no page keeps it, says so, and leads to the quotas", async ({ page }) => {
  for (const there of ["quotass", "quotas/tts"]) {
    await page.goto(`/p/demo/${there}`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`There is no page “${there}”.`);
    await expect(page).toHaveURL(new RegExp(`/p/demo/${there}$`));
    await expect(page.getByRole("navigation", { name: "Views" }).locator("[aria-current]")).toHaveCount(0);
    await expectAccessible(page);
    await page.getByRole("link", { name: "Open quotas" }).click();
    await expect(page).toHaveURL(/\/p\/demo\/quotas$/);
    await expect(page.getByRole("region", { name: "TTS", exact: true })).toBeVisible();
  }
});

test("a service that was never heard makes nothing up, and is seen when it answers", async ({ page }) => {
  const calls = (url: URL) => url.pathname.startsWith("/highwater.v1.");
  await page.route(calls, (route) => route.abort());
  await page.goto("/p/demo/quotas");
  await expect(page.getByRole("alert")).toContainText("Nothing is known yet.");
  await expect(page.getByRole("banner").getByText("nothing heard yet")).toBeVisible();
  await expect(page.getByText("Not connected.")).toHaveCount(0);
  await page.unroute(calls);
  await expect(page.getByRole("region", { name: "TTS", exact: true })).toBeVisible();
});

test("a model of two accounts is two rows that say whose they are, and each pool has its own sum", async ({ page }) => {
  const project = "accounts";
  const model = "cartesia/sonic-3";
  for (const [account, slots] of [
    ["", 8],
    ["direct", 6],
  ] as const) {
    await hold(project, `s${account}`, Kind.TTS, model, { account });
    await limits.setLimit({ project, target: { target: { case: "pool", value: { kind: Kind.TTS, account } } }, slots: slots + 2, setBy: "test" });
    await limits.setLimit({ project, target: { target: { case: "meter", value: { kind: Kind.TTS, model, account } } }, slots, setBy: "test" });
  }
  await page.goto(`/p/${project}/quotas`);
  const tts = page.getByRole("region", { name: "TTS", exact: true });
  const table = tts.getByRole("table", { name: "Models of TTS" });
  await expect(table.getByRole("button", { name: "Cartesia Sonic 3", exact: true })).toBeVisible();
  await expect(table.getByRole("button", { name: /^Cartesia Sonic 3 \(direct/ })).toBeVisible();
  const head = tts.locator("header").first();
  await expect(head).toContainText("livekit: 1 of 10 · assigned 8");
  await expect(head).toContainText("direct: 1 of 8 · assigned 6");
  await head.getByRole("button", { name: "assigned 6" }).click();
  await expect(page.getByRole("dialog").getByRole("row").filter({ hasText: "Cartesia Sonic 3" })).toHaveCount(1);
});
