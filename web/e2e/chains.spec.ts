// Chains on the page: made, put into another order by keyboard and by drag, pinned and drained, deleted, each with its way back;
// and which way new sessions go.
import { type Locator, type Page } from "@playwright/test";

import { Role } from "../src/gen/highwater/v1/admin_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { boxOf, callsOf, expect, looksRight, openQuotas, test } from "./page";
import { HOSTILE, KEYS_PORT, signIn, startKeyed } from "./rooms";

const { chains } = callsOf();
const [FIRST, SECOND, THIRD] = ["ElevenLabs Turbo v2.5", "Cartesia Sonic 3", "Deepgram Aura-2"] as const;
const MODELS = ["elevenlabs/eleven_turbo_v2_5", "cartesia/sonic-3", "deepgram/aura-2"];

const openChains = async (page: Page, project: string) => {
  await page.goto(`/p/${project}/settings?tab=chains`);
  await expect(page.getByRole("region", { name: "Chains", exact: true })).toBeVisible();
};
const card = (page: Page, name: string): Locator => page.getByRole("region", { name: `Chain ${name}`, exact: true });
const modelsOf = (of: Locator): Locator => of.getByRole("list", { name: /^Models of/ }).getByRole("listitem");
const make = (project: string, name: string, models = MODELS) => chains.setChain({ project, name, kind: Kind.TTS, models: models.map((model) => ({ model })) });
const said = (page: Page): Locator => page.getByRole("status", { name: "What happened" });

test("a chain is made from nothing, with what the service says beside its fields, and taken back", async ({ page }) => {
  await openChains(page, "chains-new");
  await expect(page.getByText("There is no chain yet.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Make a chain" })).toHaveCount(1);
  await page.getByRole("button", { name: "Make a chain" }).click();
  const dialog = page.getByRole("dialog", { name: "Make a chain" });
  const name = dialog.getByRole("textbox", { name: "Name" });
  const submit = dialog.getByRole("button", { name: "Make the chain" });
  await name.fill("My Voice");
  await submit.click();
  await expect(name).toHaveAttribute("aria-invalid", "true");
  await expect(dialog.getByText(/\[a-z0-9\._-\]/)).toBeVisible();
  await name.fill("voice");
  await submit.click();
  await expect(dialog.getByRole("alert")).toContainText("Is empty; name 1 to 8, the primary first.");
  const add = dialog.getByRole("combobox", { name: "Add a model" });
  await add.selectOption({ label: FIRST });
  await add.selectOption({ label: SECOND });
  await dialog.getByRole("textbox", { name: "They leave from, % of its limit" }).fill("80");
  await dialog.getByRole("textbox", { name: "They return below, %" }).fill("79");
  await submit.click();
  await expect(dialog.getByRole("textbox", { name: "They return below, %" })).toHaveAttribute("aria-invalid", "true");
  await dialog.getByRole("textbox", { name: "They return below, %" }).fill("60");
  await dialog.getByRole("textbox", { name: "A route stays at least" }).fill("1 s");
  await submit.click();
  await expect(dialog.getByRole("textbox", { name: "A route stays at least" })).toHaveAttribute("aria-invalid", "true");
  await dialog.getByRole("textbox", { name: "A route stays at least" }).fill("2 min");
  await submit.click();
  await expect(dialog).toBeHidden();
  const voice = card(page, "voice");
  await expect(modelsOf(voice)).toHaveCount(2);
  await expect(modelsOf(voice).first()).toContainText(`${FIRST} · primary`);
  await expect(voice).toContainText("from 80 % of its limit on, and return when all would fit below 60 %. A route stays for 2 min at least.");
  await expect(voice.getByRole("status", { name: "Route of voice" })).toHaveText(`New sessions go to ${FIRST}.`);
  await expect(said(page)).toContainText("The chain voice is made.");
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(page.getByText("There is no chain yet.")).toBeVisible();
  expect((await chains.listChains({ project: "chains-new" })).chains).toEqual([]);
});

test("the order is changed by keyboard alone, and by drag; undo sets what was before", async ({ page }) => {
  const project = "chains-order";
  await make(project, "voice");
  const order = async () => (await chains.listChains({ project })).chains[0]?.models.map(({ model }) => model);
  await openChains(page, project);
  const voice = card(page, "voice");
  await voice.getByRole("button", { name: "Change chain voice" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Chain voice" });
  const list = dialog.getByRole("list", { name: "Models of the chain" }).getByRole("listitem");
  await dialog.getByRole("button", { name: `Move ${THIRD}: place 3 of 3` }).focus();
  await page.keyboard.press("ArrowUp");
  await expect(dialog.getByRole("button", { name: `Move ${THIRD}: place 2 of 3` })).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(dialog.getByRole("status")).toHaveText(`${THIRD} is at place 1 of 3: the primary.`);
  await expect(list.first()).toContainText(THIRD);
  await dialog.getByRole("button", { name: `Move ${SECOND} up` }).click();
  await expect(list.nth(1)).toContainText(SECOND);
  await dialog.getByRole("button", { name: "Save the chain" }).press("Enter");
  await expect(dialog).toBeHidden();
  await expect.poll(order).toEqual([MODELS[2], MODELS[1], MODELS[0]]);
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect.poll(order).toEqual(MODELS);
  await expect(modelsOf(voice).first()).toContainText(FIRST);

  await voice.getByRole("button", { name: "Change chain voice" }).click();
  const grip = await boxOf(dialog.getByRole("button", { name: `Move ${FIRST}: place 1 of 3` }));
  const last = await boxOf(list.nth(2));
  await page.mouse.move(grip.x + grip.width / 2, grip.y + grip.height / 2);
  await page.mouse.down();
  await page.mouse.move(grip.x + grip.width / 2, last.y + last.height / 2, { steps: 12 });
  await page.mouse.up();
  await expect(list.nth(2)).toContainText(FIRST);
  await dialog.getByRole("button", { name: `Remove ${SECOND}` }).click();
  await expect(list).toHaveCount(2);
  await dialog.getByRole("checkbox", { name: /Only when it is full/ }).check();
  await dialog.getByRole("button", { name: "Save the chain" }).click();
  await expect.poll(order).toEqual([MODELS[2], MODELS[0]]);
  await expect(voice).toContainText("New sessions leave a model only when it is full or down.");
});

test("a model is drained and pinned by hand with a reason and an end, and the rows of quotas say so", async ({ page }) => {
  const project = "chains-by-hand";
  await make(project, "voice", MODELS.slice(0, 2));
  await openChains(page, project);
  const voice = card(page, "voice");
  await voice.getByRole("button", { name: `Drain ${FIRST} in voice` }).click();
  const dialog = page.getByRole("dialog", { name: `Drain ${FIRST}` });
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await expect(dialog.getByText("Say why: others will see it.")).toBeVisible();
  await dialog.getByRole("textbox", { name: "Why" }).fill(HOSTILE[0] ?? "");
  await dialog.getByRole("button", { name: "Until in 4 h" }).click();
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(modelsOf(voice).first()).toContainText(/drained until/);
  await expect(modelsOf(voice).first()).toContainText(HOSTILE[0] ?? "");
  await expect(voice.getByRole("status", { name: "Route of voice" })).toHaveText(new RegExp(`Fallback in use: new sessions go to ${SECOND}`));
  await expect(modelsOf(voice).nth(1).getByRole("img", { name: "100 % of new sessions" })).toBeVisible();
  // The last one is not to be drained: there is no button that would fail.
  await expect(voice.getByRole("button", { name: `Drain ${SECOND} in voice` })).toHaveCount(0);
  await voice.getByRole("button", { name: `End what is said of ${FIRST} in voice` }).click();
  await expect(modelsOf(voice).first()).not.toContainText(/drained until/);
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(modelsOf(voice).first()).toContainText(/drained until/);
  // When it is over for good, sessions return by and by.
  await voice.getByRole("button", { name: `End what is said of ${FIRST} in voice` }).click();
  await expect(voice.getByRole("status", { name: "Route of voice" })).toHaveText(new RegExp(`of new sessions \\d+ % to ${FIRST}`), { timeout: 90_000 });
});

test("a chain is deleted, and comes back with what was said of it", async ({ page }) => {
  const project = "chains-deleted";
  await make(project, "voice");
  const endTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 7_200), nanos: 0 };
  await chains.setOverride({ project, chain: "voice", model: { model: MODELS[1] ?? "" }, action: 1, endTime, reason: "a test" });
  await openChains(page, project);
  await expect(modelsOf(card(page, "voice")).nth(1)).toContainText(/pinned until/);
  await card(page, "voice").getByRole("button", { name: "Delete chain voice" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the chain" }).click();
  await expect(page.getByText("There is no chain yet.")).toBeVisible();
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(modelsOf(card(page, "voice")).nth(1)).toContainText("a test");
});

test("rows of quotas say which way new sessions go, and lead to their chain", async ({ page }) => {
  await openQuotas(page);
  const tts = page.getByRole("table", { name: "Models of TTS" });
  const route = tts.getByRole("row", { name: new RegExp(SECOND) }).getByRole("link", { name: `Route of ${SECOND}: chain voice` });
  await expect(route).toBeVisible();
  await expect(tts.getByRole("row", { name: /Rime Arcana/ }).getByText("no route")).toHaveCount(1);
  await route.click();
  await expect(page).toHaveURL(/\/p\/demo\/settings\?tab=chains$/);
  await expect(card(page, "voice").getByRole("list", { name: "If a model of voice fails" })).toContainText(/If .* fails at this peak, .* needs/);
});

test("two tabs of a browser share one stream of routes", async ({ page, context }) => {
  const asked: string[] = [];
  context.on("request", (request) => /WatchRoutes$/.test(request.url()) && asked.push(request.url()));
  await openChains(page, "demo");
  await expect(card(page, "voice").getByRole("status", { name: "Route of voice" })).toContainText("ew sessions");
  const other = await context.newPage();
  await openChains(other, "demo");
  await expect(card(other, "voice").getByRole("status", { name: "Route of voice" })).toContainText("ew sessions");
  expect(asked).toHaveLength(1);
});

test("who may only read sees chains, and no button that would fail", async ({ browser }) => {
  const keyed = await startKeyed(["acme"]);
  try {
    const token = await keyed.key(Role.EDITOR);
    await callsOf(KEYS_PORT, token).chains.setChain({ project: "acme", name: "voice", kind: Kind.TTS, models: MODELS.map((model) => ({ model })) });
    const page = await browser.newPage({ baseURL: `http://127.0.0.1:${KEYS_PORT}` });
    await page.goto("/p/acme/settings?tab=chains");
    await signIn(page, await keyed.key(Role.VIEWER));
    await expect(modelsOf(card(page, "voice"))).toHaveCount(3);
    await expect(page.getByRole("button", { name: /^(Make|Change|Delete|Pin|Drain|End)/ })).toHaveCount(0);
    await page.close();
  } finally {
    await keyed.end();
  }
});

test("chains @looks", async ({ page }) => {
  const project = "chains-looks";
  await make(project, "voice");
  await make(project, "a-chain-with-a-name-that-is-as-long-as-a-name-may-be-0123456789a");
  const endTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 7_200), nanos: 0 };
  await chains.setOverride({ project, chain: "voice", model: { model: MODELS[0] ?? "" }, action: 2, endTime, reason: "its voices were changed this morning" });
  await openChains(page, project);
  await expect(card(page, "voice").getByRole("status", { name: "Route of voice" })).toContainText("Fallback in use");
  await looksRight(page, "chains", { fullPage: true });
  await page.goto("/p/demo/settings?tab=chains");
  await expect(card(page, "voice").getByRole("status", { name: "Route of voice" })).toContainText("ew sessions");
  await looksRight(page, "chains of the demo", { fullPage: true });
  await card(page, "voice").getByRole("button", { name: "Change chain voice" }).click();
  await looksRight(page, "a chain, changed");
  await page.keyboard.press("Escape");
  await card(page, "voice").getByRole("button", { name: /^Drain/ }).first().click();
  await looksRight(page, "a model, drained");
  await openChains(page, "chains-none");
  await expect(page.getByText("There is no chain yet.")).toBeVisible();
  await looksRight(page, "no chain");
});
