import { Role } from "../src/gen/highwater/v1/admin_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { expect, looksRight, midMinute, test } from "./page";
import { HOSTILE, KEYS_PORT, type Keyed, hold, signIn, startKeyed } from "./rooms";

test.use({ port: KEYS_PORT, baseURL: `http://127.0.0.1:${KEYS_PORT}` });

let keyed: Keyed;
test.beforeAll(async () => {
  keyed = await startKeyed(["acme", "other"]);
  await midMinute();
  await hold("acme", "call-1", Kind.TTS, "cartesia/sonic-3", { token: await keyed.key(Role.WORKER), port: KEYS_PORT, room: "lobby" });
});
test.afterAll(() => keyed.end());

test("the sign-in @looks", async ({ page }) => {
  await page.goto("/p/acme/quotas");
  await expect(page.getByRole("dialog", { name: "Sign in" })).toBeVisible();
  await looksRight(page, "sign-in");
});

test("without a credential the page asks, says why it refuses, and goes on where it was", async ({ page }) => {
  await page.goto("/p/acme/sessions");
  const dialog = page.getByRole("dialog", { name: "Sign in" });
  await expect(dialog).toBeVisible();
  await dialog.getByLabel("Key or token").fill(HOSTILE[0] ?? "");
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await expect(dialog.getByRole("alert")).not.toBeEmpty();
  await signIn(page, await keyed.key(Role.VIEWER));
  await expect(page).toHaveURL(/\/p\/acme\/sessions$/);
  await expect(page.getByRole("table", { name: "Sessions" })).toContainText("lobby");
  const cookies = await page.context().cookies();
  expect(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite])).toEqual([[true, "Strict"]]);
});

test("who asked and who decided is said by what their keys are called, also to who may not list keys; a peak that is a bound has its sign", async ({ page }) => {
  const [viewer, operator] = [await keyed.key(Role.VIEWER), await keyed.key(Role.OPERATOR)];
  const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: "cartesia/sonic-3" } } };
  const { request } = await keyed.requests(viewer).createIncreaseRequest({ project: "acme", target, wantedSlots: 9, reason: "a fair" });
  await keyed.requests(operator).decideIncreaseRequest({ id: request?.id ?? "", slots: 7, word: "for now" });
  await page.goto("/p/acme/requests?show=all");
  await signIn(page, viewer);
  const table = page.getByRole("table", { name: "Requests" });
  const row = table.getByRole("row", { name: /Cartesia Sonic 3/ });
  await expect(row).toContainText(`a viewer ${request?.createdBy}`);
  await row.getByRole("button", { name: "Cartesia Sonic 3", exact: true }).click();
  await expect(table.getByRole("region", { name: "History" })).toContainText(/a viewer \w+: asked for 9.*an? operator \w+: Approved in part: 7/);
  await expect(table.getByRole("region", { name: "Evidence" }).getByTitle("at least 1: not all was known then")).toHaveText("≥at least 1");
  // The limit that it became, and its mark on the chart, say it too.
  await page.goto("/p/acme/settings");
  await expect(page.getByRole("table", { name: "Limits" }).getByRole("row", { name: /Cartesia Sonic 3/ })).toContainText("a operator");
  await page.goto("/p/acme/quotas?range=1h");
  await expect(page.getByRole("button", { name: /Limit none → 7 by a operator/ })).toHaveCount(1);
  await page.context().clearCookies();
  await page.goto("/p/acme/operator");
  await signIn(page, operator);
  await expect(page.getByRole("table", { name: "Provider pools" }).getByTitle("at least 1: not all was known then")).toHaveText("≥at least 1");
});

test("a viewer sees no button that would fail", async ({ page }) => {
  await page.goto("/p/acme/sessions");
  await signIn(page, await keyed.key(Role.VIEWER));
  await expect(page.getByRole("table", { name: "Sessions" })).toBeVisible();
  await expect(page.getByRole("button", { name: /Release/ })).toHaveCount(0);
  const views = page.getByRole("navigation", { name: "Views" });
  await expect(views.getByRole("link", { name: "Operator" })).toHaveCount(0);
  await views.getByRole("link", { name: "Settings" }).click();
  const rooms = page.getByRole("navigation", { name: "Settings" });
  await expect(rooms.getByRole("link")).toHaveText(["Limits", "Plans", "Chains", "Catalogue", "Alert rules"]);
  for (const [room, button] of [["Limits", /^(Set a limit|Change the limit|End the limit)/], ["Plans", /^Apply/], ["Catalogue", /^Set the limit/], ["Alert rules", /^(Add|Change|Delete|Reset)/]] as const) {
    await rooms.getByRole("link", { name: room }).click();
    await expect(page.getByRole("region", { name: room === "Alert rules" ? "Rules" : room })).toBeVisible();
    await expect(page.getByLabel("Loading")).toHaveCount(0);
    await expect(page.getByRole("button", { name: button })).toHaveCount(0);
  }
  await expect(page.getByRole("switch")).toHaveCount(0);
  await views.getByRole("link", { name: /^Alerts/ }).click();
  await expect(page.getByText("Nothing fires now.")).toBeVisible();
  await expect(page.getByRole("navigation", { name: "Alerts" }).getByRole("link")).toHaveText(["Alerts", "Rules"]);
  // An address that was sent by who may more shows what this key may see.
  await page.goto("/p/acme/settings?tab=keys");
  await expect(page.getByRole("region", { name: "Limits" })).toBeVisible();
  await page.goto("/p/acme/operator");
  await expect(page.getByText("This view is for operators.")).toBeVisible();
});

test("an ended token leaves the view and asks, and signing in again goes on", async ({ page }) => {
  await page.goto("/p/acme/sessions");
  // Its time runs from when there is somebody to sign in.
  await expect(page.getByRole("dialog", { name: "Sign in" })).toBeVisible();
  await signIn(page, await keyed.key(Role.VIEWER, "acme", Date.now() + 15_000));
  const table = page.getByRole("table", { name: "Sessions", includeHidden: true });
  await expect(table).toContainText("lobby");
  const dialog = page.getByRole("dialog", { name: "Your sign-in has ended" });
  await expect(dialog).toBeVisible({ timeout: 60_000 });
  await expect(table).toContainText("lobby");
  await signIn(page, await keyed.key(Role.VIEWER));
  await expect(page).toHaveURL(/\/p\/acme\/sessions$/);
});

test("another project's address tells nothing, and leads home", async ({ page }) => {
  await page.goto("/p/other/sessions");
  await signIn(page, await keyed.key(Role.VIEWER));
  const said = page.getByText("There is no project “other”, or your key does not open it.");
  await expect(said).toBeVisible();
  await page.goto("/p/other/quotas");
  await expect(said).toBeVisible();
  await page.getByRole("button", { name: "Open acme" }).click();
  await expect(page.getByRole("region", { name: "TTS" })).toBeVisible();
});

test("signing out leaves nothing on the screen", async ({ page }) => {
  await page.goto("/p/acme/sessions");
  await signIn(page, await keyed.key(Role.VIEWER));
  await expect(page.getByRole("table", { name: "Sessions" })).toContainText("lobby");
  await page.getByRole("button", { name: /Signed in as viewer/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("dialog", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText("lobby")).toHaveCount(0);
});

test("an editor makes, rotates and revokes keys; each token is shown once", async ({ page }) => {
  await page.goto("/p/acme/settings?tab=keys");
  await signIn(page, await keyed.key(Role.EDITOR));
  const dialog = page.getByRole("dialog");
  const name = HOSTILE[2] ?? "";
  await page.getByRole("button", { name: "Create a key" }).click();
  await expect(dialog.getByLabel("Role").getByRole("option")).toHaveCount(3);
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await expect(dialog.getByLabel("key", { exact: true })).toHaveText(/^hwm_worker_/);
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  const row = page.getByRole("table", { name: "Keys" }).getByRole("row").filter({ hasText: name });
  await row.getByRole("button", { name: `Rotate ${name}` }).click();
  await dialog.getByRole("button", { name: "Rotate" }).click();
  await expect(dialog.getByLabel("key", { exact: true })).toHaveText(/^hwm_worker_/);
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  await expect(row).toHaveCount(2);
  await row.first().getByRole("button", { name: `Revoke ${name}` }).click();
  await expect(dialog.getByText("can’t be undone")).toBeVisible();
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("Revoked");
  await expect(page.getByText(/hwm_worker_/)).toHaveCount(0);
  await expect(page.getByRole("table", { name: "Changes" }).getByRole("row", { name: /key\.revoke/ }).first()).toBeVisible();
});

test("first use with keys: one click makes a worker's key", async ({ page }) => {
  await page.goto("/p/other/quotas");
  await signIn(page, await keyed.key(Role.EDITOR, "other"));
  await page.getByRole("button", { name: "Create a worker key" }).click();
  const token = await page.getByLabel("worker key", { exact: true }).textContent();
  await hold("other", "call-1", Kind.STT, "deepgram/nova-3", { token: token ?? "", port: KEYS_PORT });
  await expect(page.getByRole("region", { name: "STT" })).toBeVisible();
});
