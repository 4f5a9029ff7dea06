// Alerts: what fires is seen, decided on and found again; rules are previewed, recipients tested.
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Page } from "@playwright/test";

import { AlertPhase, Recipient_Webhook_Form as Form, Severity } from "../src/gen/highwater/v1/alert_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, expectAccessible, looksRight, test } from "./page";
import { HOSTILE, hold } from "./rooms";

const MODEL = "cartesia/sonic-3";
const NAME = "Cartesia Sonic 3";
const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: MODEL } } };

/** A project that is at its limit of two slots; gives the way to free them. Its alert ends as soon as the level falls. */
async function full(project: string, port: number, prepare = async () => {}): Promise<() => Promise<void>> {
  const { limits, alerts } = callsOf(port);
  const releases = [await hold(project, "a", Kind.TTS, MODEL, { worker: "voice-1" })];
  await prepare();
  const { rules } = await alerts.listAlertRules({ project });
  for (const rule of rules.filter(({ name }) => ["approaching", "near", "at-limit"].includes(name))) {
    await alerts.setAlertRule({ project, rule: { ...rule, keep: durationFromMs(0), enabled: rule.name === "at-limit" } });
  }
  await limits.setLimit({ project, target, slots: 2, setBy: "test" });
  releases.push(await hold(project, "b", Kind.TTS, MODEL, { worker: "voice-2" }));
  await expect.poll(async () => (await alerts.listAlerts({ project, firing: true })).alerts.length).toBe(1);
  return async () => void (await Promise.all(releases.map((release) => release())));
}

const said = (page: Page) => page.getByRole("status", { name: "What happened" });

test("an alert is seen everywhere, acknowledged, snoozed, undone, and found in the past", async ({ page, port }, info) => {
  const { alerts } = callsOf(port);
  const project = "alerting";
  const told = { enabled: true, leastSeverity: Severity.INFO };
  const free = await full(project, port, async () => {
    await alerts.setRecipient({ project, recipient: { ...told, name: "ops", address: { case: "mailbox", value: "ops@example.com" } } });
    // The service refuses what leads to its own machine.
    await alerts.setRecipient({ project, recipient: { ...told, name: "hook", address: { case: "webhook", value: { url: "http://127.0.0.1:9/x", form: Form.SLACK } } } });
  });

  // The bar counts it, the row has a bell, which leads to it.
  await page.goto(`/p/${project}/quotas`);
  await expect(page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: /^Alerts [1-9]\d* fires? now$/ })).toBeVisible();
  await page.getByRole("button", { name: new RegExp(`^Alert of ${NAME}: at limit since`) }).click();
  await expect(page).toHaveURL(/\/alerts\?open=level-\d+@\d+/);
  const table = page.getByRole("table", { name: "Firing now" });
  const row = table.getByRole("row", { name: new RegExp(NAME) }).first();
  await expect(row).toContainText("at limit");
  await expect(row).toContainText("2 of 2 · 100 %");
  await expect(row).toContainText("none left");
  const episode = page.getByRole("region", { name: `Alert of ${NAME}` });
  await expect(episode.getByRole("list", { name: "Timeline" })).toContainText("at-limit fired at 2 of 2");
  await expect(episode.getByLabel("Holders")).toContainText("voice-1");
  const deliveries = episode.getByRole("table", { name: "Deliveries" });
  await expect(deliveries.getByRole("row", { name: /ops/ })).toContainText("taken");
  await expect(deliveries.getByRole("row", { name: /hook/ })).toContainText("undeliverable");
  await expect(row).toContainText("1 undeliverable");
  await expectAccessible(page);
  await page.screenshot({ path: info.outputPath("episode.png"), fullPage: true });

  await episode.getByRole("button", { name: `Acknowledge ${NAME}` }).click();
  await expect(said(page)).toContainText(`Acknowledged: ${NAME}.`);
  await expect(row).toContainText("acknowledged");
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(said(page)).toContainText(`Undone: nobody has acknowledged ${NAME}.`);
  await expect(row).not.toContainText("acknowledged");
  await expect(episode.getByRole("list", { name: "Timeline" })).toContainText("acknowledgement taken back by");

  const snooze = episode.getByRole("group", { name: `Snooze ${NAME}` });
  await snooze.getByRole("button", { name: "Until tomorrow 8:00" }).click();
  await expect(said(page)).toContainText(/snoozed until \S+ 08:00/);
  await expect(row).toContainText("snoozed until");
  await snooze.getByRole("button", { name: "1 hour" }).click();
  await said(page).getByRole("button", { name: "Undo" }).click();
  // What was before is there again, not nothing.
  await expect(said(page)).toContainText(/Undone: .* is snoozed until \S+ 08:00/);
  await snooze.getByRole("button", { name: "Until…" }).click();
  const dialog = page.getByRole("dialog", { name: `Snooze ${NAME}` });
  await dialog.getByLabel("Until").fill("2020-01-01T08:00");
  await dialog.getByRole("button", { name: "Snooze" }).click();
  await expect(dialog.getByText("A time in the future is needed.")).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await snooze.getByRole("button", { name: "End the snooze" }).click();
  await expect(row).not.toContainText("snoozed until");
  await expect(episode.getByRole("list", { name: "Timeline" })).toContainText("snooze ended by");

  // A mail's link names the alert alone: it opens it, and does nothing by itself.
  const { alerts: [firing] } = await alerts.listAlerts({ project, firing: true });
  await page.goto(`/p/${project}/alerts?open=${firing?.name}`);
  await expect(episode.getByRole("group", { name: `Snooze ${NAME}` })).toBeVisible();
  const { alerts: [after] } = await alerts.listAlerts({ project, firing: true });
  expect([after?.snoozeTime, after?.acknowledgeTime]).toEqual([firing?.snoozeTime, firing?.acknowledgeTime]);

  // The row, and from its detail back.
  await episode.getByRole("link", { name: "Show its row" }).click();
  await expect(page).toHaveURL(/\/quotas\?select=tts\/cartesia\/sonic-3/);
  await page.getByRole("button", { name: NAME, exact: true }).click();
  await page.getByRole("region", { name: `Detail of ${NAME}` }).getByRole("button", { name: "Its alerts" }).click();
  await expect(page).toHaveURL(/\/alerts\?target=tts\/cartesia\/sonic-3/);
  await expect(row).toBeVisible();
  await page.getByLabel("Kind").selectOption("approaching");
  await expect(page).toHaveURL(/kind=approaching/);
  await expect(page.getByText("Nothing that matches fires now.")).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(row).toBeVisible();

  await free();
  const past = page.getByRole("table", { name: "Past alerts" }).getByRole("row", { name: new RegExp(NAME) });
  await expect(past).toContainText("2 of 2");
  // What fires of the service itself, which a busy machine may bring about, is not of this project.
  await expect(table.getByRole("row", { name: new RegExp(NAME) })).toHaveCount(0);
  await past.getByRole("button", { name: NAME }).click();
  await expect(episode.getByRole("list", { name: "Timeline" })).toContainText("resolved at");
  // What is over is not decided on.
  await expect(episode.getByRole("button", { name: /Acknowledge|1 hour/ })).toHaveCount(0);
});

test("an alert that is not there is said, and the list stands", async ({ page }) => {
  const release = await hold("no-alert", "s", Kind.TTS, MODEL);
  await page.goto("/p/no-alert/alerts?open=level-999999@1");
  await expect(page.getByText("The alert of this address is not there")).toBeVisible();
  await expect(page.getByText("Nothing fires now.")).toBeVisible();
  await page.getByRole("button", { name: "See the rules" }).click();
  await expect(page.getByRole("table", { name: "Rules" })).toBeVisible();
  await release();
});

test("alerts that can't be read say so, with Retry", async ({ page }) => {
  const release = await hold("unread", "s", Kind.TTS, MODEL);
  let fails = true;
  await page.route("**/highwater.v1.AlertService/ListAlerts", (route) => (fails ? route.abort() : route.fallback()));
  await page.goto("/p/unread/alerts");
  await expect(page.getByText("Alerts could not be read.")).toBeVisible();
  fails = false;
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByText("Nothing fires now.")).toBeVisible();
  await release();
});

test("a rule says while it is typed what it would have fired", async ({ page }, info) => {
  await page.goto("/p/demo/alerts?tab=rules");
  await page.getByRole("button", { name: "Add a rule" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a rule" });
  const preview = dialog.getByRole("region", { name: "Preview" });
  await expect(preview).toContainText(/In the last seven days this would have fired \d+ times; \d+ models and pools are watched/);
  await dialog.getByLabel("Of which model").selectOption({ label: "ElevenLabs Turbo v2.5" });
  await expect(preview).toContainText(/would have fired .*; 1 model or pool is watched/);
  const list = preview.getByRole("list", { name: "What it would have fired" });
  await expect(list.getByRole("listitem").first()).toContainText(/\d\d:\d\d (for .+|until now).*ElevenLabs Turbo v2.5.*up to \d+/);
  await expectAccessible(page);
  await page.screenshot({ path: info.outputPath("rule.png") });
  await dialog.getByLabel("From").fill("1000");
  await expect(preview).toContainText("In the last seven days this would not have fired; 1 model or pool is watched.");
});

test("a rule is added, turned off, changed, reset and undone; what is wrong is said at its field", async ({ page, port }) => {
  const { alerts, limits } = callsOf(port);
  const project = "ruled";
  const release = await hold(project, "s", Kind.TTS, MODEL);
  await limits.setLimit({ project, target, slots: 1, setBy: "test" });
  await page.goto(`/p/${project}/alerts?tab=rules`);
  const table = page.getByRole("table", { name: "Rules" });
  await expect(table.getByRole("row", { name: /^approaching/ })).toContainText("from 80 % of the limit, for 2 min");
  await expect(table.getByRole("row", { name: /^approaching/ })).toContainText("from the start");
  await page.getByRole("button", { name: "Add a rule" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a rule" });
  // What the service refuses is said at its field, as it is typed.
  await dialog.getByLabel("From").fill("1001");
  await expect(dialog.getByText("is 1001 %; 1000 % is the most")).toBeVisible();
  await expect(dialog.getByLabel("From")).toHaveAttribute("aria-invalid", "true");
  await dialog.getByLabel("From").fill("60");
  await dialog.getByLabel(/^It ends below/).fill("70");
  await expect(dialog.getByText("is 70, above the threshold of 60")).toBeVisible();
  await dialog.getByLabel(/^It ends below/).fill("50");
  await dialog.getByLabel("For", { exact: true }).fill("soon");
  await expect(dialog.getByText("Such as 30 s, 2 min or 1 h 30 min.")).toBeVisible();
  await dialog.getByLabel("For", { exact: true }).fill("90 s");
  await dialog.getByLabel("Name").fill(HOSTILE[0] ?? "");
  await expect(dialog.getByText(/is not 1 to 64 bytes of/)).toBeVisible();
  await dialog.getByLabel("Name").fill("sixty");
  await dialog.getByLabel("Of which model").selectOption({ label: NAME });
  await dialog.getByLabel("Severity").selectOption("info");
  await dialog.getByLabel("Told again after").fill("1 h");
  await dialog.getByRole("button", { name: "Add the rule" }).click();
  await expect(said(page)).toContainText("The rule sixty watches from now on.");
  const row = table.getByRole("row", { name: /^sixty/ });
  await expect(row).toContainText("from 60 % of the limit, for 1 min 30 s");
  await expect(row).toContainText("each 1 h");
  const kept = (await alerts.listAlertRules({ project })).rules.find(({ name }) => name === "sixty");
  expect([kept?.onlyModel, kept?.hold?.seconds, kept?.severity]).toEqual([MODEL, 90n, Severity.INFO]);

  await table.getByRole("switch", { name: "Rule near" }).click();
  await expect(said(page)).toContainText("The rule near is off.");
  await expect(table.getByRole("switch", { name: "Rule near" })).not.toBeChecked();
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(table.getByRole("switch", { name: "Rule near" })).toBeChecked();
  await row.getByRole("button", { name: "Delete the rule sixty" }).click();
  await expect(row).toHaveCount(0);
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(row).toContainText("each 1 h");
  await table.getByRole("button", { name: "Change the rule approaching" }).click();
  const change = page.getByRole("dialog", { name: "The rule approaching" });
  await change.getByLabel("From").fill("75");
  await change.getByRole("button", { name: "Set the rule" }).click();
  await expect(table.getByRole("row", { name: /^approaching/ })).toContainText("from 75 %");
  await table.getByRole("button", { name: "Reset the rule approaching" }).click();
  await expect(table.getByRole("row", { name: /^approaching/ })).toContainText("from 80 %");
  await expect(page.getByRole("table", { name: "Changes" }).getByRole("row", { name: /alert\.rule\.set/ }).first()).toBeVisible();
  // The same rules stand in the settings.
  await page.goto(`/p/${project}/settings?tab=rules`);
  await expect(table.getByRole("row", { name: /^sixty/ })).toBeVisible();
  await release();
});

test("a recipient is named, tested word for word, changed and removed", async ({ page, port }, info) => {
  const { alerts } = callsOf(port);
  const project = "told";
  const release = await hold(project, "s", Kind.TTS, MODEL);
  await page.goto(`/p/${project}/alerts?tab=recipients`);
  await page.getByRole("button", { name: "Add a recipient" }).first().click();
  const add = page.getByRole("dialog", { name: "Add a recipient" });
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await expect(add.getByText("A name is needed.")).toBeVisible();
  await add.getByLabel("Name").fill("on-call");
  await add.getByLabel("Address").fill("nowhere");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await expect(add.getByText("is not the address of one mailbox, such as ops@example.com")).toBeVisible();
  await add.getByLabel("Address").fill("on-call@example.com");
  await add.getByLabel("Quiet hours").check();
  await add.getByLabel("Time zone").fill("Europe/Nowhere");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await expect(add.getByLabel("Time zone")).toHaveAttribute("aria-invalid", "true");
  await add.getByLabel("Time zone").fill("Europe/Lisbon");
  await expectAccessible(page);
  await page.screenshot({ path: info.outputPath("recipient.png") });
  await add.getByRole("button", { name: "Add", exact: true }).click();
  const table = page.getByRole("table", { name: "Recipients" });
  const row = table.getByRole("row", { name: /^on-call/ });
  await expect(row).toContainText("on-call@example.com");
  await expect(row).toContainText("22:00–07:00 Europe/Lisbon");
  await table.getByRole("button", { name: "Send on-call a test" }).click();
  await expect(page.getByRole("status", { name: "Answer to the test of on-call" })).toContainText(/The test was taken: 250/);

  await page.getByRole("button", { name: "Add a recipient" }).first().click();
  await add.getByLabel("Name").fill("hook");
  await add.getByLabel("By").selectOption("Webhook, signed (Standard Webhooks)");
  await add.getByLabel("URL").fill("http://127.0.0.1:9/secret-path");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  const once = page.getByRole("dialog", { name: "The secret of hook" });
  await expect(once.getByLabel("secret", { exact: true })).toHaveText(/^whsec_/);
  await once.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByText(/whsec_|secret-path/)).toHaveCount(0);
  await table.getByRole("button", { name: "Send hook a test" }).click();
  await expect(page.getByRole("status", { name: "Answer to the test of hook" })).toContainText("not taken");
  await page.screenshot({ path: info.outputPath("recipients.png"), fullPage: true });

  await table.getByRole("button", { name: "Change on-call" }).click();
  const change = page.getByRole("dialog", { name: "Change on-call" });
  await change.getByLabel("Told of").selectOption("critical alone");
  await change.getByRole("button", { name: "Set", exact: true }).click();
  await expect(row).toContainText("critical alone");
  await table.getByRole("switch", { name: "Tell on-call" }).click();
  await expect(row).toContainText("off");
  await said(page).getByRole("button", { name: "Undo" }).click();
  await expect(table.getByRole("switch", { name: "Tell on-call" })).toBeChecked();
  await table.getByRole("button", { name: "Remove hook" }).click();
  await page.getByRole("dialog", { name: "Remove hook?" }).getByRole("button", { name: "Remove" }).click();
  await expect(table.getByRole("row", { name: /^hook/ })).toHaveCount(0);
  const { recipients } = await alerts.listRecipients({ project });
  expect(recipients.map(({ name, leastSeverity }) => [name, leastSeverity])).toEqual([["on-call", Severity.CRITICAL]]);
  await expect(page.getByRole("table", { name: "Changes" }).getByRole("row", { name: /alert\.recipient\.set/ }).first()).toBeVisible();
  await page.goto(`/p/${project}/settings?tab=recipients`);
  await expect(row).toBeVisible();
  await release();
});

test("a mail's link asks for more, filled, and sends nothing by itself", async ({ page, port }) => {
  const { limits, requests } = callsOf(port);
  const release = await hold("linked", "s", Kind.TTS, MODEL);
  await limits.setLimit({ project: "linked", target, slots: 20, setBy: "test" });
  await page.goto("/p/linked/requests?select=tts/cartesia/sonic-3");
  const dialog = page.getByRole("dialog", { name: `Request more of ${NAME}` });
  await expect(dialog).toContainText("Its limit is 20.");
  await expect(dialog.getByLabel("Wanted limit")).toHaveValue("21");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  await expect(page).toHaveURL(/\/requests$/);
  expect((await requests.listIncreaseRequests({ project: "linked" })).requests).toEqual([]);
  await release();
});

test("what fired marks the chart, with words, and is in the list behind it", async ({ page, port }) => {
  const { alerts } = callsOf(port);
  const project = "marked-by-alerts";
  const free = await full(project, port);
  await free();
  await expect.poll(async () => (await alerts.listAlerts({ project })).alerts.map(({ phase }) => phase)).toContain(AlertPhase.RESOLVED);
  await page.goto(`/p/${project}/quotas?range=1h`);
  const chart = page.getByRole("region", { name: "TTS", exact: true });
  const mark = chart.getByRole("list", { name: "What happened" }).getByRole("button", { name: /Alert: up to 2 of 2/ });
  await expect(mark).toHaveCount(1);
  await expect(mark).toHaveAttribute("title", /Alert: up to 2 of 2, until/);
  await expect(chart.getByRole("list", { name: "What happened" }).getByRole("button", { name: /Alert ended: up to 2 of 2/ })).toHaveCount(1);
  await chart.getByRole("button", { name: /As table/ }).click();
  await expect(page.getByRole("region", { name: "The chart of TTS as a table" })).toContainText("Alert: up to 2 of 2");
});


const LOOKS: Record<string, (page: Page, port: number) => Promise<void>> = {
  "an alert, open": async (page, port) => {
    const free = await full("looked-at-alert", port, async () => {
      await callsOf(port).alerts.setRecipient({ project: "looked-at-alert", recipient: { name: "hook", enabled: true, leastSeverity: Severity.INFO, address: { case: "webhook", value: { url: "http://127.0.0.1:9/x", form: Form.SLACK } } } });
    });
    const { alerts: [firing] } = await callsOf(port).alerts.listAlerts({ project: "looked-at-alert", firing: true });
    await page.goto(`/p/looked-at-alert/alerts?open=${firing?.name}`);
    await expect(page.getByRole("table", { name: "Deliveries" })).toContainText("undeliverable");
    await expect(page.getByLabel("Holders")).toContainText("voice-1");
    void free;
  },
  "a rule, previewed": async (page) => {
    await page.goto("/p/demo/alerts?tab=rules");
    await page.getByRole("button", { name: "Add a rule" }).click();
    await expect(page.getByRole("region", { name: "Preview" })).toContainText("would have fired");
  },
  "a recipient": async (page) => {
    await page.goto("/p/demo/alerts?tab=recipients");
    await page.getByRole("button", { name: "Add a recipient" }).first().click();
    await page.getByLabel("Quiet hours").check();
  },
  "the inbox": async (page, port) => {
    const { alerts, demo } = callsOf(port);
    const { recipients } = await alerts.listRecipients({ project: "demo" });
    await alerts.sendTestMessage({ project: "demo", recipientName: recipients[0]?.name ?? "" });
    await expect.poll(async () => (await demo.listMails({})).mails.length).toBeGreaterThan(0);
    await page.goto("/p/demo/requests?inbox=open");
    await expect(page.locator("iframe").contentFrame().getByText("demo", { exact: false }).first()).toBeVisible();
  },
};

for (const [name, open] of Object.entries(LOOKS)) {
  test(`${name} @looks`, async ({ page, port }) => {
    await open(page, port);
    await looksRight(page, name);
  });
}
