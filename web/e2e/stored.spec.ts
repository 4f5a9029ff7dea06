// Fifty strings that were stored to run, in every field that a person or a worker can fill: all that the service takes is shown as text.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Page } from "@playwright/test";

import { Role } from "../src/gen/highwater/v1/admin_pb";
import { AlertKind, Severity } from "../src/gen/highwater/v1/alert_pb";
import { Kind } from "../src/gen/highwater/v1/types_pb";
import { callsOf, expect, test } from "./page";
import { HOSTILE, KEYS_PORT, type Keyed, hold, signIn, startKeyed } from "./rooms";

const PROJECT = "stored";
/** Fewer bytes than the shortest of the bounds, so that none is refused for its length. */
const MOST = 64;
const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: "cartesia/sonic-3" } } };

/** What was taken, by the name of its field. */
const taken: Record<string, string[]> = {};
async function store(field: string, text: string, by: () => Promise<unknown>): Promise<void> {
  try {
    await by();
    (taken[field] ??= []).push(text);
  } catch {
    taken[field] ??= [];
  }
}

/** Each is there as text, also where it is cut off, and none of them became anything else. */
async function expectText(page: Page, strings: readonly string[] = []): Promise<void> {
  await expect(page.getByLabel("Loading")).toHaveCount(0);
  await expect
    .poll(async () => {
      const text = await page.locator("body").evaluate((body) => body.textContent ?? "");
      return strings.filter((string) => !text.includes(string));
    })
    .toEqual([]);
  const made = await page.evaluate(() => [...document.querySelectorAll("script:not([src^='/assets/']),iframe,object,embed,base,meta[http-equiv],[onload],[onerror],[onfocus],a[href^='javascript:']")].map((of) => of.outerHTML));
  expect(made).toEqual([]);
}

test("fifty stored scripts in every field are text in every room", async ({ page, port }) => {
  test.setTimeout(300_000);
  const { limits, quotas, requests, admin, alerts } = callsOf(port);
  const releases: (() => Promise<void>)[] = [];
  const holds = async (label: string, model: string, labels: { room?: string; job?: string; worker?: string; account?: string }) => {
    releases.push(await hold(PROJECT, label, Kind.TTS, model, labels));
  };
  await holds("first", "cartesia/sonic-3", {});
  expect(new Set(HOSTILE).size).toBe(50);
  expect(HOSTILE.filter((text) => new TextEncoder().encode(text).length > MOST)).toEqual([]);
  for (const [nth, text] of HOSTILE.entries()) {
    await store("worker", text, () => holds(`worker-${nth}`, "cartesia/sonic-3", { worker: text }));
    await store("room", text, () => holds(`room-${nth}`, "cartesia/sonic-3", { room: text }));
    await store("job", text, () => holds(`job-${nth}`, "cartesia/sonic-3", { job: text }));
    await store("model", text, () => holds(`model-${nth}`, text, {}));
    await store("account", text, () => holds(`account-${nth}`, "cartesia/sonic-3", { account: text }));
    await store("project", text, () => admin.createProject({ project: text }));
    await store("set by", text, () => limits.setLimit({ project: PROJECT, target, slots: 20 + nth, setBy: text }));
    await store("reason", text, () => limits.setLimit({ project: PROJECT, target, slots: 80 + nth, setBy: "test", reason: text }));
    const asked = (model: string, reason: string) =>
      requests.createIncreaseRequest({ project: PROJECT, target: { target: { case: "meter", value: { kind: Kind.TTS, model } } }, wantedSlots: 500, reason });
    await store("custom model", text, () => asked(text, "why"));
    await store("why", text, async () => {
      const { request } = await asked(`acme/model-${nth}`, text);
      await store("word", text, () => requests.decideIncreaseRequest({ id: request?.id ?? "", slots: 0, word: text }));
    });
  }
  // What is held is above this limit at once, so that there is an alert to decide on.
  await limits.setLimit({ project: PROJECT, target, slots: 1, setBy: "test" });
  await expect.poll(async () => (await alerts.listAlerts({ project: PROJECT, firing: true })).alerts.length).toBeGreaterThan(0);
  const { alerts: [firing] } = await alerts.listAlerts({ project: PROJECT, firing: true });
  const of = { project: PROJECT, alert: firing?.name ?? "" };
  for (const text of HOSTILE) {
    const rule = { name: "rule", kind: AlertKind.APPROACHING, enabled: true, severity: Severity.INFO, threshold: { level: { case: "percent" as const, value: 999 } } };
    await store("rule", text, () => alerts.setAlertRule({ project: PROJECT, rule: { ...rule, name: text } }));
    await store("model of a rule", text, () => alerts.setAlertRule({ project: PROJECT, rule: { ...rule, name: `rule-${HOSTILE.indexOf(text)}`, onlyModel: text } }));
    const recipient = { name: "recipient", enabled: true, leastSeverity: Severity.INFO };
    await store("recipient", text, () => alerts.setRecipient({ project: PROJECT, recipient: { ...recipient, name: text, address: { case: "mailbox", value: "ops@example.com" } } }));
    await store("mailbox", text, () => alerts.setRecipient({ project: PROJECT, recipient: { ...recipient, address: { case: "mailbox", value: text } } }));
    await store("webhook", text, () => alerts.setRecipient({ project: PROJECT, recipient: { ...recipient, address: { case: "webhook", value: { url: `https://hooks.example/${text}` } } } }));
  }
  // The timeline keeps the newest 50 events.
  for (const text of HOSTILE.slice(0, 20)) {
    await store("acknowledged by", text, () => alerts.acknowledgeAlert({ ...of, setBy: text }));
    await store("snoozed by", text, () => alerts.snoozeAlert({ ...of, setBy: text, until: timestampFromMs(Date.now() + 3_600_000) }));
  }
  console.log(Object.entries(taken).map(([field, of]) => `${field} ${of.length}`).join(", "));
  // Names that are parts of addresses and of metrics have letters of their own, and take none of them.
  for (const field of ["worker", "room", "job", "set by", "reason", "why", "word"]) expect(taken[field], field).toHaveLength(50);

  await page.goto(`/p/${PROJECT}/quotas?open=tts/cartesia/sonic-3`);
  await expect(page.getByRole("region", { name: /^Detail of/ })).toBeVisible();
  await expectText(page, taken["model"]);
  await page.goto(`/p/${PROJECT}/sessions`);
  await expect(page.getByRole("table", { name: "Sessions" })).toBeVisible();
  await expectText(page, HOSTILE);
  const held = await page.getByRole("table", { name: "Sessions" }).evaluate((table) => table.textContent ?? "");
  expect(HOSTILE.filter((text) => held.split(text).length !== 4), "worker, room and job hold each").toEqual([]);
  const { sessions } = await quotas.listSessions({ project: PROJECT, pageSize: 1_000 });
  for (const [nth, text] of HOSTILE.entries()) {
    const of = sessions[nth];
    await store("release", text, () => quotas.releaseSession({ project: PROJECT, sessionId: of?.id ?? "", incarnation: of?.incarnation ?? "", reason: text }));
  }
  expect(taken["release"]).toHaveLength(50);
  await page.goto(`/p/${PROJECT}/requests?show=all`);
  await expectText(page);
  const table = page.getByRole("table", { name: "Requests" });
  const names = await table.getByRole("button", { name: /^acme\/model-\d+$/ }).all();
  for (const name of names) await name.click();
  await expectText(page, [...(taken["why"] ?? []), ...(taken["word"] ?? [])]);
  await page.goto(`/p/${PROJECT}/settings`);
  await page.getByRole("table", { name: "Limits" }).getByRole("button", { name: "Cartesia Sonic 3", exact: true }).click();
  await expectText(page, HOSTILE.slice(-1));
  for (const room of ["settings?tab=audit", "settings?tab=plans", "settings?tab=catalogue", "settings?tab=recipients", "operator", "requests?select=tts/cartesia/sonic-3"]) {
    await page.goto(`/p/${PROJECT}/${room}`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expectText(page);
  }
  expect([taken["acknowledged by"], taken["snoozed by"]].map((of) => of?.length)).toEqual([20, 20]);
  await page.goto(`/p/${PROJECT}/alerts?open=${of.alert}`);
  await expect(page.getByRole("list", { name: "Timeline" })).toBeVisible();
  await expectText(page, HOSTILE.slice(0, 20));
  await page.goto(`/p/${PROJECT}/alerts?tab=rules`);
  await expect(page.getByRole("table", { name: "Rules" })).toBeVisible();
  await expectText(page, taken["model of a rule"]);
  await page.goto(`/p/${PROJECT}/alerts?tab=recipients`);
  await expect(page.getByRole("table", { name: "Recipients" })).toBeVisible();
  await expectText(page);
  await page.goto(`/p/${PROJECT}/alerts?kind=${encodeURIComponent(HOSTILE[1] ?? "")}&target=${encodeURIComponent(HOSTILE[1] ?? "")}&open=${encodeURIComponent(HOSTILE[0] ?? "")}`);
  await expect(page.getByText("Nothing that matches fires now.")).toBeVisible();
  await expectText(page);
  for (const release of releases) await release().catch(() => undefined);
});

test.describe("with keys", () => {
  test.use({ port: KEYS_PORT, baseURL: `http://127.0.0.1:${KEYS_PORT}` });

  let keyed: Keyed;
  test.beforeAll(async () => {
    keyed = await startKeyed([PROJECT]);
  });
  test.afterAll(() => keyed.end());

  test("fifty stored names of keys are text", async ({ page }) => {
    test.setTimeout(120_000);
    for (const text of HOSTILE) await keyed.admin.createApiKey({ project: PROJECT, role: Role.VIEWER, displayName: text });
    await page.goto(`/p/${PROJECT}/settings?tab=keys`);
    await signIn(page, keyed.operator);
    await expect(page.getByRole("table", { name: "Keys" })).toBeVisible();
    await expectText(page, HOSTILE);
    await page.goto(`/p/${PROJECT}/settings?tab=audit`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expectText(page);
  });
});

test("a field of the page that takes a stored script shows it as text", async ({ page }) => {
  const release = await hold("typed", "s", Kind.TTS, "cartesia/sonic-3");
  const text = HOSTILE[1] ?? "";
  for (const hostile of [`q=${encodeURIComponent(text)}`, `select=${encodeURIComponent(text)}`, `open=${encodeURIComponent(text)}`]) {
    await page.goto(`/p/typed/quotas?${hostile}`);
    await expect(page.getByRole("region", { name: "TTS", exact: true })).toBeVisible();
    await expectText(page, hostile.startsWith("q") ? [text] : []);
  }
  await page.goto(`/p/${encodeURIComponent(text)}/quotas`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expectText(page);
  await release();
});
