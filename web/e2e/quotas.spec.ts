import { type Page } from "@playwright/test";

import { GetHistoryRequest_Column as Column, type Quota } from "../src/gen/highwater/v1/quota_pb";
import { callsOf, expect, expectAccessible, looksRight, openQuotas, test } from "./page";

const AT_RISK = "ElevenLabs Turbo v2.5";
const AT_RISK_KEY = "tts/elevenlabs/eleven_turbo_v2_5";
const section = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
const rowOf = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(name) });
const chart = (page: Page, name: string) => page.getByRole("group", { name: new RegExp(`Chart of ${name}`) });
const readout = (page: Page) => page.locator("[data-readout='3'] strong");

const isMeter = (quota: Quota, name: string) => quota.target?.target.case === "meter" && quota.displayName === name;
const inBerlin = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", ...options });
const [weekday, date, time] = [inBerlin({ weekday: "short" }), inBerlin({ day: "numeric", month: "short" }), inBerlin({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" })];
/** "Tue 14:03" or "19 Nov 14:03", as the page says it in the tests' zone. */
const spoken = (seconds: number) => [weekday, date].map((day) => `${day.format(seconds * 1_000)} ${time.format(seconds * 1_000)}`);

test("the verdict, five tiles, and the sections in their order @looks", async ({ page }) => {
  await openQuotas(page);
  await expect(page.getByRole("heading", { level: 1 })).not.toBeEmpty();
  await expect(section(page, "Connections").getByRole("listitem")).toHaveCount(5);
  const names = await page.locator("main section[aria-label] > header h2").allTextContents();
  expect(names).toEqual(["TTS", "STT", "LLM", "Realtime"]);
  await expect(rowOf(page, AT_RISK).first()).toBeVisible();
  await looksRight(page, "quotas");
});

test("a row's detail, in place @looks", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}&open=${AT_RISK_KEY}`);
  const detail = section(page, `Detail of ${AT_RISK}`);
  await expect(detail.getByRole("heading", { name: "Time at each level" })).toBeVisible();
  await expect(detail.getByRole("img", { name: "Time at each level" })).toBeVisible();
  await expect(detail.getByText("by simulation")).toBeVisible();
  await looksRight(page, "detail", { fullPage: true });
});

test("every row says what the service says: its limit, its peak and the time of it", async ({ page }) => {
  await openQuotas(page);
  // The fleet lives on: a peak may be passed between the question and the look.
  await expect(async () => {
    const { quotas } = await callsOf().quotas.listQuotas({ project: "demo", pageSize: 1_000 });
    const meters = quotas.filter(({ target }) => target?.target.case === "meter" && target.target.value.model);
    expect(meters.length).toBeGreaterThan(5);
    for (const quota of meters) {
      const row = await rowOf(page, quota.displayName).first().innerText();
      if (quota.limit) expect(row).toContain(String(quota.limit.slots));
      if (!quota.peak) continue;
      const [byDay = "", byDate = ""] = spoken(Number(quota.peak.at?.seconds));
      expect(row.replaceAll(/\s+/g, " ")).toMatch(new RegExp(`${quota.peak.level} · (${byDay}|${byDate})`));
    }
  }).toPass();
});

test("the crosshair reads at twenty minutes what the service says", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}`);
  const calls = callsOf().quotas;
  const { quotas } = await calls.listQuotas({ project: "demo", pageSize: 1_000 });
  const target = quotas.find((quota) => isMeter(quota, AT_RISK))?.target;
  if (!target) throw new Error(`The demo has no ${AT_RISK}.`);
  const { histories, startTime } = await calls.getHistory({ project: "demo", targets: [target], columns: [Column.LIMIT] });
  const [history] = histories;
  const from = Number(startTime?.seconds);
  const names = history?.peak.map((_, at) => spoken(from + at * 60)) ?? [];
  await chart(page, "TTS").focus();
  await page.keyboard.press("End");
  for (let nth = 0; nth < 20; nth++) {
    for (const key of nth % 3 ? ["PageUp", "ArrowLeft"] : ["PageUp", "PageUp", "Shift+ArrowRight"]) await page.keyboard.press(key);
    const said = (await readout(page).textContent()) ?? "";
    const found = /^(.+?) · (\d+) of (\d+) · (\d+) (left|over)/.exec(said);
    if (!found) throw new Error(`The crosshair says “${said}”.`);
    const [, when, level, limit] = found;
    const minutes = history?.peak.flatMap((peak, at) => (names[at]?.includes(when ?? "") ? [{ peak, limit: (history.limitPlusOne[at] ?? 0) - 1 }] : [])) ?? [];
    expect(minutes.map(({ peak }) => peak)).toContain(Number(level));
    expect(minutes[0]?.limit).toBe(Number(limit));
  }
});

test("the crosshair shows every model, sorted, and is shared by all charts; Escape lets go", async ({ page }) => {
  await openQuotas(page);
  const box = await chart(page, "TTS").boundingBox();
  if (!box) throw new Error("no chart");
  await page.mouse.move(box.x + 400, box.y + 60);
  await page.mouse.move(box.x + 402, box.y + 60);
  const all = page.getByRole("list", { name: /Every model at/ });
  await expect(all).toBeVisible();
  const levels = (await all.getByRole("listitem").allTextContents()).slice(1).map((text) => Number.parseInt(text, 10));
  expect(levels).toEqual(levels.toSorted((a, b) => b - a));
  const times = await page.locator("[data-readout] strong").allTextContents();
  expect(times.length).toBe(4);
  expect(new Set(times.map((text) => text.split(" · ")[0])).size).toBe(1);
  await page.mouse.click(box.x + 402, box.y + 12);
  await page.mouse.move(5, 5);
  await expect(page.getByText("pinned")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByText("pinned")).toBeHidden();
});

test("selecting a row selects its line, and clicking a line its row", async ({ page }) => {
  await openQuotas(page);
  await rowOf(page, AT_RISK).first().getByRole("cell").nth(3).click();
  await expect(page).toHaveURL(new RegExp(`select=${AT_RISK_KEY}`));
  await expect(rowOf(page, AT_RISK).first()).toHaveAttribute("aria-selected", "true");
  await expect(page.getByRole("slider", { name: new RegExp(AT_RISK) })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page).not.toHaveURL(/select=/);
  // The line of the pool, at its highest minute under the pointer.
  await chart(page, "STT").evaluate((element) => element.scrollIntoView({ block: "center" }));
  const box = await chart(page, "STT").boundingBox();
  if (!box) throw new Error("no chart");
  await page.mouse.move(box.x + 500, box.y + 100);
  await page.mouse.move(box.x + 501, box.y + 100);
  await expect(chart(page, "STT").locator("div.rounded-full")).toBeVisible();
  const dot = await chart(page, "STT").locator("div.rounded-full").boundingBox();
  if (!dot) throw new Error("no dot");
  await page.mouse.click(dot.x + 3.5, dot.y + 3.5);
  await expect(page).toHaveURL(/select=pool:stt|select=stt\//);
});

test("dragging the limit counts the last week, applies, and is undone", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}`);
  const calls = callsOf();
  const { quotas } = await calls.quotas.listQuotas({ project: "demo", pageSize: 1_000 });
  const quota = quotas.find((of) => isMeter(of, AT_RISK));
  if (!quota?.target) throw new Error(`The demo has no ${AT_RISK}.`);
  const before = quota.limit?.slots ?? 0;
  const slider = page.getByRole("slider", { name: new RegExp(AT_RISK) });
  const box = await slider.boundingBox();
  if (!box) throw new Error("no slider");
  await page.mouse.move(box.x + box.width - 10, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 10, box.y + box.height / 2 - 20, { steps: 5 });
  await page.mouse.up();
  const plan = page.getByRole("group", { name: `Another limit for ${AT_RISK}` });
  const tried = plan.getByRole("textbox", { name: "Limit to try" });
  expect(Number(await tried.inputValue())).toBeGreaterThan(before);
  await tried.fill("17");
  const { histories } = await calls.quotas.getHistory({ project: "demo", targets: [quota.target] });
  const near = histories[0]?.peak.filter((peak, at) => !((histories[0]?.flags[at] ?? 0) & 1) && peak * 10 >= 17 * 9).length ?? 0;
  const hours = Math.floor(near / 60);
  await expect(plan.getByRole("status")).toContainText(hours > 0 ? `${hours} h` : `${near} min`);
  await expect(plan.getByRole("status")).toContainText(/; pool \d+ of \d+/);
  await tried.fill(String(before + 4));
  await expect(plan.getByRole("button", { name: `Request ${before + 4}` })).toBeVisible();
  await plan.getByRole("button", { name: "Apply" }).click();
  await expect(rowOf(page, AT_RISK).first()).toContainText(String(before + 4));
  await page.getByRole("status", { name: "What happened" }).getByRole("button", { name: "Undo" }).click();
  await expect.poll(async () => (await calls.limits.listLimits({ project: "demo", target: quota.target! })).limits[0]?.slots).toBe(before);
});

test("dragging across a chart sets the window, and a range leaves it", async ({ page }) => {
  await openQuotas(page);
  const box = await chart(page, "TTS").boundingBox();
  if (!box) throw new Error("no chart");
  await page.mouse.move(box.x + 300, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 420, box.y + 100, { steps: 6 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=\d+&to=\d+/);
  await page.getByRole("button", { name: "24 h" }).click();
  await expect(page).toHaveURL(/range=24h/);
  await page.goBack();
  await expect(page).toHaveURL(/from=\d+&to=\d+/);
});

test("keys: filter, arrows, space, enter, help", async ({ page }) => {
  await openQuotas(page);
  await page.keyboard.press("/");
  await page.keyboard.type("inworld");
  await expect(page).toHaveURL(/q=inworld/);
  await expect(section(page, "TTS").getByRole("row", { name: /Cartesia/ })).toBeHidden();
  await page.getByRole("searchbox").fill("");
  const names = section(page, "TTS").getByRole("rowheader").getByRole("button");
  await names.first().focus();
  await page.keyboard.press("ArrowDown");
  await expect(names.nth(1)).toBeFocused();
  await page.keyboard.press("Space");
  await expect(page).toHaveURL(/select=tts/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: /^Detail of/ })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(page).toHaveURL(/select=tts/);
});

test("asking for more says what is missing", async ({ page }) => {
  await openQuotas(page);
  await page.getByRole("button", { name: `Request more of ${AT_RISK}` }).click();
  const dialog = page.getByRole("dialog", { name: `Request more of ${AT_RISK}` });
  await dialog.getByLabel("Wanted limit").fill("3");
  await dialog.getByRole("button", { name: /^Request/ }).click();
  await expect(dialog.getByText(/ask for more/)).toBeVisible();
  await expect(dialog.getByText(/Say why/)).toBeVisible();
  await expectAccessible(page);
});

test("a pool is assigned over its models, and the sum stands beside it", async ({ page }) => {
  await openQuotas(page);
  await section(page, "TTS").getByRole("button", { name: /^assigned/ }).click();
  const dialog = page.getByRole("dialog", { name: "Assign TTS" });
  const first = dialog.getByRole("textbox").first();
  await expect(first).toBeVisible();
  await first.fill("999");
  await expect(dialog.getByRole("button", { name: /^Set \d+ limit/ })).toBeEnabled();
  await expect(dialog.getByRole("row", { name: /^Sum/ })).toContainText(/1,\d{3}/);
  await first.fill("x");
  await expect(dialog.getByRole("button", { name: /^Set/ })).toBeDisabled();
  await expectAccessible(page);
});

test("every chart has a table behind it", async ({ page }) => {
  await openQuotas(page, "?range=1h");
  await section(page, "TTS").getByRole("button", { name: /As table/ }).click();
  await expect(page.getByRole("region", { name: "The chart of TTS as a table" }).getByRole("columnheader", { name: "All TTS" })).toBeVisible();
  await expectAccessible(page);
});

test("two tabs share one watch, and the second goes on when the first is closed", async ({ page, context }) => {
  const watches: string[] = [];
  context.on("request", (request) => request.url().endsWith("/WatchQuotas") && watches.push(request.url()));
  await openQuotas(page);
  const other = await context.newPage();
  await openQuotas(other);
  await expect(other.getByText(/live since/)).toBeVisible();
  expect(watches.length).toBe(1);
  await page.close();
  await expect.poll(() => watches.length).toBe(2);
  await expect(other.getByText(/live since/)).toBeVisible();
});

test("stored scripts are text", async ({ page }) => {
  test.setTimeout(180_000);
  const { limits, quotas } = callsOf();
  const listed = await quotas.listQuotas({ project: "demo", pageSize: 1_000 });
  const target = listed.quotas.find((quota) => isMeter(quota, "Cartesia Sonic 3"))?.target;
  if (!target) throw new Error("The demo has no Cartesia Sonic 3.");
  const shapes = [
    "<script>alert(N)</script>",
    "<img src=x onerror=alert(N)>",
    "\"><svg onload=alert(N)>",
    "javascript:alert(N)",
    "{{constructor.constructor('alert(N)')()}}",
    "'-alert(N)-'",
    "<iframe srcdoc='<script>alert(N)</script>'>",
    "</title><script>alert(N)</script>",
    "<a href=javascript:alert(N)>x</a>",
    "<style>*{display:none}</style>N",
  ];
  const strings = Array.from({ length: 50 }, (_, nth) => (shapes[nth % shapes.length] ?? "").replaceAll("N", String(nth)));
  for (let start = 0; start < strings.length; start += 5) {
    const some = strings.slice(start, start + 5);
    for (const [nth, reason] of some.entries()) await limits.setLimit({ project: "demo", target, slots: 40 + (nth % 2), setBy: reason.slice(0, 100), reason });
    await openQuotas(page, "?open=tts/cartesia/sonic-3");
    const detail = section(page, "Detail of Cartesia Sonic 3");
    for (const text of some) await expect(detail.getByText(text, { exact: false }).first()).toBeVisible();
  }
  await limits.setLimit({ project: "demo", target, slots: 40, setBy: "test" });
});
