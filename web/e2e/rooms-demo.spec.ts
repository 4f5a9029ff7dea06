import { EnforcementMode } from "../src/gen/highwater/v1/limit_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, looksRight, test } from "./page";
import { HOSTILE, hold } from "./rooms";

const ROOMS = ["sessions?worker=voice-agent-01", "requests", "alerts", "alerts?tab=rules", "alerts?tab=recipients", "settings", "settings?tab=plans", "settings?tab=catalogue", "settings?tab=keys", "settings?tab=recipients", "settings?tab=audit", "operator"];

for (const room of ROOMS) {
  test(`${room} @looks`, async ({ page }) => {
    await page.goto(`/p/demo/${room}`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByLabel("Loading")).toHaveCount(0);
    await looksRight(page, room.replaceAll(/\W/g, "-"));
  });
}

test("an empty project shows how to connect, and becomes the page with the first event", async ({ page }) => {
  await page.goto("/p/first-use/quotas");
  await expect(page.getByRole("heading", { name: "Connect a worker to first-use" })).toBeVisible();
  await expect(page.getByLabel("address", { exact: true })).toHaveText(/127\.0\.0\.1:\d+/);
  await expect(page.getByLabel("Python lines", { exact: true })).toContainText("worker.close()");
  await page.getByRole("button", { name: "Rust" }).click();
  await expect(page.getByLabel("Rust lines", { exact: true })).toContainText("service.report(report)");
  const release = await hold("first-use", "call-1", Kind.TTS, "cartesia/sonic-3");
  await expect(page.getByRole("region", { name: "TTS" })).toBeVisible();
  await release();
});

test("sessions are listed, and filtered by the address", async ({ page }) => {
  const some = HOSTILE.slice(0, 12);
  const releases = await Promise.all(some.map((text, nth) => hold("ledger", `s-${nth}`, Kind.TTS, "cartesia/sonic-3", { room: text, job: text, worker: `w-${nth} ${text}`.slice(0, 60) })));
  await page.goto("/p/ledger/sessions");
  const table = page.getByRole("table", { name: "Sessions" });
  await expect(table.getByRole("row")).toHaveCount(some.length + 1);
  // Room and job each hold one.
  for (const text of some) await expect(table.locator("td", { hasText: text })).not.toHaveCount(0);
  await table.getByRole("button", { name: /^w-3/ }).click();
  await expect(table.getByRole("row")).toHaveCount(2);
  await expect(page).toHaveURL(/worker=w-3/);
  await page.reload();
  await expect(table.getByRole("row")).toHaveCount(2);
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(table.getByRole("row")).toHaveCount(some.length + 1);
  for (const release of releases) await release();
  await expect(page.getByText("Nobody holds a slot now.")).toBeVisible();
});

test("a limit is set, changed, undone and ended, and the audit trail says so", async ({ page, port }) => {
  const { limits } = callsOf(port);
  const slots = async () => (await limits.listLimits({ project: "limited" })).limits.map((limit) => limit.slots);
  const release = await hold("limited", "s", Kind.TTS, "cartesia/sonic-3");
  await page.goto("/p/limited/settings");
  await page.getByRole("button", { name: "Set a limit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Set the limit" }).click();
  await expect(dialog.getByText("Choose what to limit.")).toBeVisible();
  await dialog.getByLabel("Of").selectOption({ label: "Cartesia Sonic 3" });
  await dialog.getByLabel("Slots at once").fill("20");
  await dialog.getByLabel("Why").fill(HOSTILE[0] ?? "");
  await dialog.getByRole("button", { name: "Set the limit" }).click();
  const row = page.getByRole("table", { name: "Limits" }).getByRole("row", { name: /Cartesia Sonic 3/ });
  await expect(row).toContainText(HOSTILE[0] ?? "");
  expect(await slots()).toEqual([20]);

  await row.getByRole("button", { name: "Change the limit of Cartesia Sonic 3" }).click();
  await dialog.getByLabel("Slots at once").fill("26");
  await dialog.getByRole("button", { name: "Set the limit" }).click();
  const said = page.getByRole("status", { name: "What happened" });
  await expect(said).toContainText("The limit of Cartesia Sonic 3 is 26.");
  await said.getByRole("button", { name: "Undo" }).click();
  await expect(said).toContainText("Undone: the limit is as it was.");
  expect(await slots()).toEqual([20]);

  await row.getByRole("button", { name: "Cartesia Sonic 3", exact: true }).click();
  await expect(page.getByRole("list", { name: "History of the limit" }).getByRole("listitem")).toHaveCount(3);
  await row.getByRole("button", { name: "End the limit of Cartesia Sonic 3" }).click();
  await expect(page.getByText("No limit is set.")).toBeVisible();
  await said.getByRole("button", { name: "Undo" }).click();
  await expect(row).toContainText("20");
  await expect(page.getByRole("table", { name: "Changes" }).getByRole("row", { name: /limit\.end/ }).first()).toBeVisible();
  await release();
});

test("what limits do is said as it is chosen, and a limit of starts as what it is", async ({ page, port }) => {
  const { limits } = callsOf(port);
  const project = "enforcing";
  const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: "cartesia/sonic-3" } } };
  await limits.setLimit({ project, target, slots: 7, setBy: "test" });
  await limits.setLimit({ project, target, startsPerMinute: 1_200, setBy: "test" });
  await page.goto(`/p/${project}/settings`);
  const room = page.getByRole("region", { name: "Limits", exact: true });
  await expect(room).toContainText("Limits are watched: nobody is refused for them.");
  const starts = page.getByRole("table", { name: "Limits" }).getByRole("row", { name: /1,200 starts a minute/ });
  await limits.setEnforcement({ project, target: { target: { case: "pool", value: { kind: Kind.TTS } } }, mode: EnforcementMode.ENFORCE, setBy: "test" });
  await page.reload();
  await expect(room).toContainText("Limits of All TTS are enforced: who asks for a slot beyond one is refused, or given another model. Others are watched.");
  await starts.getByRole("button", { name: "End the limit of Cartesia Sonic 3" }).click();
  const said = page.getByRole("status", { name: "What happened" });
  await expect(said).toContainText("has ended");
  await expect(starts).toHaveCount(0);
  expect((await limits.listLimits({ project })).limits.map(({ slots }) => slots)).toEqual([7]);
  await said.getByRole("button", { name: "Undo" }).click();
  await expect(starts).toBeVisible();
});

test("a plan and a tier of the catalogue are set with a click", async ({ page, port }) => {
  await page.goto("/p/planned/settings?tab=plans");
  await page.getByRole("button", { name: "Apply LiveKit Build" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("planned is on LiveKit Build: 6 limits were set");
  await page.goto("/p/planned/settings?tab=catalogue&q=cartesia");
  await page.getByRole("button", { name: /Set the limit of Cartesia Sonic 3 to 15, tier scale/ }).click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("Cartesia Sonic 3 (direct) is 15");
  const set = (await callsOf(port).limits.listLimits({ project: "planned" })).limits;
  expect(set).toHaveLength(7);
  expect(set.find(({ target }) => target?.target.value?.account === "direct")?.slots).toBe(15);
});

test("the demo says that it is one, and does what its buttons say", async ({ page }) => {
  await page.goto("/p/demo/sessions");
  const bar = page.getByRole("complementary", { name: "Demo" });
  await expect(bar.getByText("Simulation", { exact: true })).toBeVisible();
  const said = page.getByRole("status", { name: "What happened" });
  // A killed worker is silent for some seconds alone: who missed them looks at the next.
  await expect(async () => {
    await bar.getByRole("button", { name: "Kill a worker" }).click();
    await expect(said).not.toBeEmpty();
    await expect(said).not.toContainText("did not work");
    await expect(page.getByRole("table", { name: "Sessions" }).getByText("silent").first()).toBeVisible({ timeout: 10_000 });
  }).toPass();
  await bar.getByRole("button", { name: "Busy hour" }).click();
  await expect(said).toContainText(/ten minutes|10 min/i);
});

test("sessions of silent workers stand first", async ({ page }) => {
  await page.goto("/p/demo/sessions");
  await expect(async () => {
    await page.getByRole("button", { name: "Kill a worker" }).click();
    await expect(page.getByRole("table", { name: "Sessions" }).getByRole("row").nth(1)).toContainText("silent", { timeout: 10_000 });
  }).toPass();
});

test("a project is made and deleted, its name typed", async ({ page }) => {
  await page.goto("/p/demo/operator");
  await page.getByRole("button", { name: "Create a project" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(HOSTILE[1] ?? "");
  await dialog.getByRole("button", { name: "Create" }).click();
  await expect(dialog.getByText("1 to 64 of a-z")).toBeVisible();
  await dialog.getByLabel("Name").fill("made-here");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: "Delete made-here" }).click();
  const remove = dialog.getByRole("button", { name: "Delete", exact: true });
  await expect(remove).toBeDisabled();
  await dialog.getByLabel("Type made-here to delete it").fill("made-here");
  await remove.click();
  await expect(page.getByRole("status", { name: "What happened" })).toContainText("Deleted: made-here");
  await expect(page.getByRole("table", { name: "Projects" }).getByRole("row", { name: /made-here/ })).toHaveCount(0);
});
