import { type Page } from "@playwright/test";

import { GetHistoryRequest_Column as Column, type Quota } from "../src/gen/highwater/v1/quota_pb";
import { Kind, Outcome } from "../src/gen/highwater/v1/types_pb";
import { boxOf, callsOf, expect, expectAccessible, looksRight, midMinute, openQuotas, spoken, test } from "./page";
import { hold } from "./rooms";

const AT_RISK = "ElevenLabs Turbo v2.5";
const AT_RISK_KEY = "tts/elevenlabs/eleven_turbo_v2_5";
const section = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
const rowOf = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(name) });
const chart = (page: Page, name: string) => page.getByRole("group", { name: new RegExp(`Chart of ${name}`) });
const readout = (page: Page) => page.locator("[data-readout='3'] strong");

const isMeter = (quota: Quota, name: string) => quota.target?.target.case === "meter" && quota.displayName === name;

test("the verdict, five tiles, and the sections in their order @looks", async ({ page }) => {
  await openQuotas(page);
  await expect(page.getByRole("heading", { level: 1 })).not.toBeEmpty();
  await expect(section(page, "Connections").getByRole("listitem")).toHaveCount(5);
  const names = await page.locator("main section[aria-label] > header h2").allTextContents();
  expect(names).toEqual(["TTS", "STT", "LLM", "Realtime"]);
  await expect(rowOf(page, AT_RISK).first()).toBeVisible();
  await looksRight(page, "quotas");
});

test("of what is selected the chart shows % of limit, and levels again", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}`);
  const button = section(page, "TTS").getByRole("button", { name: /% of limit/ });
  for (const pressed of ["true", "false"]) {
    await button.click();
    await expect(button).toHaveAttribute("aria-pressed", pressed);
    await expect(chart(page, "TTS")).toBeVisible();
  }
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
  const box = await boxOf(chart(page, "TTS"));
  await page.mouse.move(box.x + 400, box.y + 60);
  await page.mouse.move(box.x + 402, box.y + 60);
  const all = page.getByRole("list", { name: /Every model at/ });
  await expect(all).toBeVisible();
  await expect(page.locator("[data-readout] strong")).toHaveCount(4);
  await expect(async () => {
    // "≥6" is 6, and "–" is less than anything.
    const levels = (await all.getByRole("listitem").allTextContents()).slice(1).map((text) => Number(/\d+/.exec(text.replaceAll(",", ""))?.[0] ?? -1));
    expect(levels.length).toBeGreaterThan(1);
    expect(levels).toEqual(levels.toSorted((a, b) => b - a));
    const times = await page.locator("[data-readout] strong").allTextContents();
    expect(new Set(times.map((text) => text.split(" · ")[0])).size).toBe(1);
  }).toPass();
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
  const box = await boxOf(chart(page, "STT"));
  await page.mouse.move(box.x + 500, box.y + 100);
  await page.mouse.move(box.x + 501, box.y + 100);
  const dot = await boxOf(chart(page, "STT").locator("div.rounded-full"));
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
  const box = await boxOf(slider);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x, y - 20, { steps: 5 });
  await page.mouse.up();
  const plan = page.getByRole("group", { name: `Another limit for ${AT_RISK}` });
  const tried = plan.getByRole("textbox", { name: "Limit to try" });
  await expect.poll(async () => Number(await tried.inputValue())).toBeGreaterThan(before);
  await tried.fill("17");
  const target = quota.target;
  // The week moves on, and so do the levels: both are looked at again.
  await expect(async () => {
    const { histories } = await calls.quotas.getHistory({ project: "demo", targets: [target] });
    const near = histories[0]?.peak.filter((peak, at) => !((histories[0]?.flags[at] ?? 0) & 1) && peak * 10 >= 17 * 9).length ?? 0;
    const hours = Math.floor(near / 60);
    await expect(plan.getByRole("status")).toContainText(hours > 0 ? `${hours} h` : `${near} min`, { timeout: 1_000 });
  }).toPass();
  await expect(plan.getByRole("status")).toContainText(/; pool \d+ of \d+/);
  // Far above what is shown the limit is still seen, and can be taken hold of.
  await tried.fill(String(before * 4));
  await expect(async () => {
    const [handle, plot] = [await slider.boundingBox(), await chart(page, "TTS").boundingBox()];
    expect((handle?.y ?? 0) + (handle?.height ?? 0) / 2).toBeGreaterThan(plot?.y ?? Infinity);
  }).toPass();
  await tried.fill(String(before + 4));
  await expect(plan.getByRole("button", { name: `Request ${before + 4}` })).toBeVisible();
  await plan.getByRole("button", { name: "Apply" }).click();
  await expect(rowOf(page, AT_RISK).first()).toContainText(String(before + 4));
  await page.getByRole("status", { name: "What happened" }).getByRole("button", { name: "Undo" }).click();
  await expect.poll(async () => (await calls.limits.listLimits({ project: "demo", target })).limits[0]?.slots).toBe(before);
});

test("a click beside the grip of a limit is the chart's, also on the limit itself", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}`);
  const grip = await boxOf(page.getByRole("slider", { name: new RegExp(AT_RISK) }));
  const plot = await boxOf(chart(page, "TTS").locator(".u-over"));
  expect(grip.width).toBeLessThan(40);
  await page.mouse.click(plot.x + plot.width / 2, grip.y + grip.height / 2);
  await expect(page.getByText("pinned, Esc lets go").or(rowOf(page, AT_RISK).first().and(page.locator("[aria-selected=false]")))).toBeVisible();
  await expect(page.getByRole("group", { name: `Another limit for ${AT_RISK}` })).toBeHidden();
});

test("a minute that was pinned in one window is not read as one without data in another", async ({ page }) => {
  await openQuotas(page);
  const plot = await boxOf(chart(page, "TTS").locator(".u-over"));
  await page.mouse.click(plot.x + plot.width / 2, plot.y + 10);
  await expect(readout(page)).toContainText(/ of \d+/);
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  await expect(chart(page, "TTS").locator(".uplot canvas")).toBeVisible();
  await expect(page.locator("[data-readout='3']")).toBeEmpty();
  await page.getByRole("button", { name: "7 d", exact: true }).click();
  await expect(readout(page)).toContainText(/ of \d+/);
  // The newest minute is read by its keys, whether it has been heard of yet or not.
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  await chart(page, "TTS").focus();
  await page.keyboard.press("End");
  await expect(readout(page)).toContainText(/ of \d+/);
});

test("what is typed as a limit is taken as it stands, or said to be none", async ({ page }) => {
  await openQuotas(page, `?select=${AT_RISK_KEY}`);
  await page.getByRole("slider", { name: new RegExp(AT_RISK) }).press("PageUp");
  const plan = page.getByRole("group", { name: `Another limit for ${AT_RISK}` });
  const tried = plan.getByRole("textbox", { name: "Limit to try" });
  const apply = plan.getByRole("button", { name: "Apply" });
  await expect(apply).toBeEnabled();
  for (const text of ["12.5", "-3", "", "99999999999", "x"]) {
    await tried.fill(text);
    await expect(tried).toHaveValue(text);
    await expect(plan.getByText("A whole number from 0 to 16,777,215 is needed.")).toBeVisible();
    await expect(apply).toBeDisabled();
  }
  await tried.fill("24");
  await expect(apply).toBeEnabled();
  await expect(plan.getByRole("button", { name: "Request 24" })).toBeVisible();
});

test("dragging across a chart sets the window, and a range leaves it", async ({ page }) => {
  await openQuotas(page);
  const box = await boxOf(chart(page, "TTS"));
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

test("the columns of all tables stand beneath each other, in every width", async ({ page }) => {
  await openQuotas(page);
  const tables = page.getByRole("table", { name: /^Models of/ });
  await expect(tables).toHaveCount(4);
  for (const width of [1440, 1280, 1000]) {
    await page.setViewportSize({ width, height: 900 });
    await expect(async () => {
      const heads = await tables.evaluateAll((all) =>
        all.map((table) => [...table.querySelectorAll("thead th")].map((head) => [head.getBoundingClientRect().left, head.getBoundingClientRect().right])),
      );
      expect(heads[0]?.some(([left = 0, right = 0]) => right > left)).toBe(true);
      for (const of of heads) expect(of).toEqual(heads[0]);
      // And nothing stands in its neighbour's column.
      const over = await tables.evaluateAll((all) =>
        all.flatMap((table) => [...table.querySelectorAll("tbody td")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)),
      );
      expect(over).toEqual([]);
    }).toPass();
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(async () => {
    const edges = await tables.evaluateAll((all) =>
      all.flatMap((table) =>
        [...table.querySelectorAll("[data-row]")].map((row) => {
          const of = (cell: string) => row.querySelector(cell)?.getBoundingClientRect();
          return [of("td:first-child")?.left, of("th")?.left, of("td:nth-child(3) span.font-medium")?.right, of("td:last-child button")?.right];
        }),
      ),
    );
    expect(edges.length).toBeGreaterThan(4);
    for (const of of edges) expect(of).toEqual(edges[0]);
  }).toPass();
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

test("an assignment is undone: every limit is as it was", async ({ page }) => {
  const { limits } = callsOf();
  const project = "assigned";
  const of = (model: string) => ({ target: { case: "meter" as const, value: { kind: Kind.TTS, model } } });
  const inForce = async () => (await limits.listLimits({ project })).limits.map(({ target, slots }) => `${target?.target.value?.model} ${slots}`).toSorted();
  const releases = [];
  for (const model of ["cartesia/sonic-3", "rime/arcana", "inworld/tts-1.5"]) releases.push(await hold(project, model, Kind.TTS, model));
  await limits.setLimit({ project, target: of("cartesia/sonic-3"), slots: 11, setBy: "test" });
  await limits.setLimit({ project, target: of("inworld/tts-1.5"), slots: 7, setBy: "test" });
  const before = await inForce();
  expect(before).toHaveLength(2);
  await page.goto(`/p/${project}/quotas`);
  await section(page, "TTS").getByRole("button", { name: /^assign/ }).click();
  const dialog = page.getByRole("dialog", { name: "Assign TTS" });
  const fields = dialog.getByRole("textbox");
  await expect(fields).toHaveCount(3);
  for (let nth = 0; nth < 3; nth++) await fields.nth(nth).fill(String(20 + nth));
  await dialog.getByRole("button", { name: "Set 3 limits" }).click();
  await expect.poll(async () => (await inForce()).length).toBe(3);
  const said = page.getByRole("status", { name: "What happened" });
  await expect(said).toContainText("3 limits were set.");
  await said.getByRole("button", { name: "Undo" }).click();
  await expect(said).toContainText("Undone: 3 limits are as they were.");
  // One had none: it has none again.
  expect(await inForce()).toEqual(before);
  for (const release of releases) await release();
});

test("every chart has a table behind it", async ({ page }) => {
  await openQuotas(page, "?range=1h");
  await section(page, "TTS").getByRole("button", { name: /As table/ }).click();
  await expect(page.getByRole("region", { name: "The chart of TTS as a table" }).getByRole("columnheader", { name: "All TTS" })).toBeVisible();
  await expectAccessible(page);
  // Shares stand beside levels, under a head of both.
  await section(page, "TTS").getByRole("button", { name: /% of limit/ }).click();
  const table = page.getByRole("region", { name: "The chart of TTS as a table" });
  await expect(table.getByRole("columnheader", { name: "All TTS held · % of limit" })).toBeVisible();
  await expect(table.getByRole("row").nth(2).getByRole("cell").first()).toContainText(/^(≥ )?[\d,]+ · [\d,]+ %$/);
  await expectAccessible(page);
});

test("two tabs share one watch, and the second goes on when the first is closed", async ({ page, context }) => {
  const watches: string[] = [];
  context.on("request", (request) => request.url().endsWith("/WatchQuotas") && watches.push(request.url()));
  await openQuotas(page);
  const other = await context.newPage();
  await openQuotas(other);
  await expect(other.getByText(/live since/)).toBeVisible();
  expect(watches).toHaveLength(1);
  await page.close();
  await expect.poll(() => watches.length).toBe(2);
  await expect(other.getByText(/live since/)).toBeVisible();
});

test("changes of a limit and what came of requests are marks on the chart, and hovering tells their words", async ({ page }) => {
  const { limits, requests } = callsOf();
  const project = "marked";
  const target = { target: { case: "meter" as const, value: { kind: Kind.TTS, model: "cartesia/sonic-3" } } };
  const release = await hold(project, "s", Kind.TTS, "cartesia/sonic-3");
  await limits.setLimit({ project, target, slots: 20, setBy: "test" });
  await limits.setLimit({ project, target, slots: 26, setBy: "ada", reason: "launch" });
  const { request } = await requests.createIncreaseRequest({ project, target, wantedSlots: 40, reason: "a fair" });
  await requests.decideIncreaseRequest({ id: request?.id ?? "", slots: 30, word: "for now" });
  await page.goto(`/p/${project}/quotas?range=1h`);
  const marks = section(page, "TTS").getByRole("list", { name: "What happened" });
  const words = [/Limit 20 → 26 by ada: launch/, /40 asked for by .+: a fair/, /approved in part by .+: 30 granted: for now/];
  for (const name of words) {
    await marks.getByRole("button", { name }).hover();
    for (const text of words) await expect(page.locator("[data-readout='3']")).toContainText(text);
  }
  await release();
});

test("a young project says since when it is known, what was turned away, and offers a limit where there is none", async ({ page }) => {
  test.setTimeout(120_000);
  const project = "young";
  await midMinute();
  const releases = [await hold(project, "s", Kind.TTS, "cartesia/sonic-3"), await hold(project, "a", Kind.AGENT, "")];
  for (const refused of ["r1", "r2"]) await (await hold(project, refused, Kind.TTS, "cartesia/sonic-3"))(Outcome.CONCURRENCY);
  await page.goto(`/p/${project}/quotas?open=tts/cartesia/sonic-3`);
  const since = /since \d\d:\d\d/;
  const tts = section(page, "TTS");
  await expect(tts.locator("header").first()).toContainText(/peak since \d\d:\d\d: ≥at least 2, \w{3} \d\d:\d\d · no data before \w{3} \d\d:\d\d/, { timeout: 60_000 });
  const row = page.locator("[data-row='tts/cartesia/sonic-3']");
  await expect(row).toContainText(since);
  await expect(section(page, "Connections").getByRole("listitem").first()).toContainText(/peak since \d\d:\d\d: ≥at least 1/, { timeout: 60_000 });
  await expect(row.getByRole("button", { name: "Set a limit for Cartesia Sonic 3" })).toBeVisible();
  await expect(row.getByRole("img")).toHaveCount(0);
  await expect(row.getByTitle("2 held; 2 attempts turned away: by the provider, at its limit")).toHaveText("2 at limit");
  await expect(section(page, "Detail of Cartesia Sonic 3")).toContainText("2 held; 2 attempts turned away");
  await page.screenshot({ path: "test-results/looks/young.png" });
  for (const release of releases) await release();
});
