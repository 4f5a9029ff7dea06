import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, expectAccessible, test } from "./page";
import { HOSTILE, hold } from "./rooms";

const MODEL = { case: "meter", value: { kind: Kind.TTS, model: "cartesia/sonic-3" } } as const;

test("more is asked for with evidence, approved in part with a word, and the limit follows", async ({ page, port }, info) => {
  const { limits } = callsOf(port);
  const release = await hold("asking", "s", Kind.TTS, "cartesia/sonic-3");
  await limits.setLimit({ project: "asking", target: { target: MODEL }, slots: 20, setBy: "test" });
  await page.goto("/p/asking/requests");
  await page.getByRole("button", { name: "Request more" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Of what").selectOption({ label: "Cartesia Sonic 3" });
  await dialog.getByRole("button", { name: /^Next/ }).click();
  await dialog.getByLabel("Wanted limit").fill("26");
  await dialog.getByLabel("Why").fill(HOSTILE[0] ?? "");
  await dialog.getByRole("button", { name: "Request 26" }).click();
  await dialog.getByRole("button", { name: "Done" }).click();

  const table = page.getByRole("table", { name: "Requests" });
  const row = table.getByRole("row", { name: /Cartesia Sonic 3/ });
  await expect(row).toContainText("20 → 26");
  await expect(row).toContainText("open");
  await row.getByRole("button", { name: "Cartesia Sonic 3", exact: true }).click();
  await expect(table.getByRole("region", { name: "Evidence" })).toBeVisible();
  await expect(table.getByRole("region", { name: "History" })).toContainText("asked for 26");
  await expectAccessible(page);
  await page.screenshot({ path: info.outputPath("request.png") });

  await row.getByRole("button", { name: "Decide on Cartesia Sonic 3" }).click();
  const decline = dialog.getByRole("button", { name: "Decline" });
  await expect(decline).toBeDisabled();
  await dialog.getByLabel("Limit to grant").fill("24");
  await expect(dialog.getByRole("button", { name: "Approve 24 in part" })).toBeDisabled();
  await dialog.getByLabel("A word to who asked").fill(HOSTILE[1] ?? "");
  await page.screenshot({ path: info.outputPath("decide.png") });
  await dialog.getByRole("button", { name: "Approve 24 in part" }).click();
  await expect(page.getByText("No request is open.")).toBeVisible();
  expect((await limits.listLimits({ project: "asking" })).limits.map(({ slots }) => slots)).toEqual([24]);

  await page.getByRole("button", { name: "All", exact: true }).click();
  await expect(page).toHaveURL(/show=all/);
  await expect(row).toContainText("approved in part");
  // Its row stands open still.
  await expect(table.getByRole("region", { name: "History" })).toContainText(HOSTILE[1] ?? "");
  await release();
});

test("a model that nobody knows is asked for, seen by the operator, and declined", async ({ page }) => {
  const release = await hold("custom", "s", Kind.TTS, "cartesia/sonic-3");
  await page.goto("/p/custom/requests");
  await page.getByRole("button", { name: "Request more" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Of what").selectOption({ label: "A model that is not listed…" });
  await dialog.getByLabel("Provider").fill(HOSTILE[0] ?? "");
  await dialog.getByLabel("Model", { exact: true }).fill("x");
  await dialog.getByRole("button", { name: /^Next/ }).click();
  await expect(dialog.getByRole("alert")).toContainText("alone");
  await dialog.getByLabel("Provider").fill("Acme Speech");
  await dialog.getByLabel("Model", { exact: true }).fill("Whisper 9");
  await dialog.getByLabel("Kind").selectOption("STT");
  await dialog.getByRole("button", { name: /^Next/ }).click();
  await dialog.getByLabel("Wanted limit").fill("5");
  await dialog.getByLabel("Why").fill("a pilot");
  await dialog.getByRole("button", { name: "Request 5" }).click();
  await dialog.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("table", { name: "Requests" })).toContainText("acme-speech/whisper-9");

  await page.goto("/p/custom/operator");
  const row = page.getByRole("table", { name: "Requests" }).getByRole("row", { name: /whisper-9/ });
  await expect(row).toContainText("custom");
  await row.getByRole("button", { name: /^Decide/ }).click();
  await dialog.getByLabel("A word to who asked").fill("not this year");
  await dialog.getByRole("button", { name: "Decline" }).click();
  await expect(row).toHaveCount(0);
  await release();
});

test("a request is taken back", async ({ page }) => {
  const release = await hold("taking-back", "s", Kind.TTS, "cartesia/sonic-3");
  await page.goto("/p/taking-back/requests");
  await page.getByRole("button", { name: "Request more" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Of what").selectOption({ label: "Cartesia Sonic 3" });
  await dialog.getByRole("button", { name: /^Next/ }).click();
  await dialog.getByLabel("Wanted limit").fill("9");
  await dialog.getByLabel("Why").fill("a fair");
  await dialog.getByRole("button", { name: "Request 9" }).click();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Withdraw Cartesia Sonic 3" }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("Withdrawn: 9");
  await page.getByRole("button", { name: "All", exact: true }).click();
  await expect(page.getByRole("table", { name: "Requests" })).toContainText("withdrawn");
  await release();
});

test("a slot is released by hand, with a reason, and what happened is said", async ({ page }) => {
  await hold("releasing", "s", Kind.TTS, "cartesia/sonic-3", { worker: "by-calls", room: "lobby" });
  await page.goto("/p/releasing/sessions");
  await page.getByRole("button", { name: "Release Cartesia Sonic 3, held by by-calls" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText("can’t be undone")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Release" })).toBeDisabled();
  await dialog.getByLabel("Why").fill(HOSTILE[0] ?? "");
  await dialog.getByRole("button", { name: "Release" }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("Freed: a slot of Cartesia Sonic 3 that by-calls held.");
  await expect(page.getByRole("button", { name: "Undo" })).toHaveCount(0);
  await expect(page.getByText("Nobody holds a slot now.")).toBeVisible();
});
