import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://localhost" });
const { AlertKind, AlertPhase, AlertSchema, DeliverySumsSchema, Severity } = await import("../gen/highwater/v1/alert_pb");
const { beyondListed, episodeKey, episodeOf, eventTone, levelWords, share, toldWords, tomorrowMorning, toneOf } = await import("./alerts");

const alert = (name: string, began: number) => create(AlertSchema, { name, beginTime: { seconds: BigInt(began), nanos: 0 } });

test("a name alone is of the newest episode, a name with its beginning of that one", () => {
  const rows = [alert("level-1", 300), alert("level-2", 200), alert("level-1", 100)];
  expect(episodeOf(rows, "level-1")).toBe(rows[0]);
  expect(episodeOf(rows, "level-1@100")).toBe(rows[2]);
  expect(episodeOf(rows, "level-1@50")).toBeUndefined();
  for (const row of rows) expect(episodeOf(rows, episodeKey(row))).toBe(row);
});

test("colour says what is bad now, and nothing of what is over", () => {
  const of = (phase: number, severity: number, kind: number) => toneOf({ phase, severity, kind });
  expect(of(AlertPhase.FIRING, Severity.WARNING, AlertKind.APPROACHING)).toBe("amber");
  expect(of(AlertPhase.FIRING, Severity.CRITICAL, AlertKind.AT_LIMIT)).toBe("red");
  expect(of(AlertPhase.FIRING, Severity.INFO, AlertKind.OVER)).toBe("red");
  expect(of(AlertPhase.RESOLVED, Severity.CRITICAL, AlertKind.OVER)).toBe("muted");
});

test("levels stand beside their limit, and shares are never rounded up to full", () => {
  const of = { limitPlusOne: 21, kind: AlertKind.AT_LIMIT };
  expect(levelWords(of, 19)).toBe("19 of 20");
  expect(levelWords({ ...of, limitPlusOne: 0 }, 1_900)).toBe("1,900");
  expect(levelWords({ ...of, kind: AlertKind.WORKERS_SILENT }, 1)).toBe("");
  expect(share(of, 19)).toBe(95);
  expect(share({ limitPlusOne: 1_001 }, 999)).toBe(99);
  expect(share({ limitPlusOne: 1 }, 3)).toBeUndefined();
});

test("events are told apart by their first words, whatever somebody is called", () => {
  expect(eventTone("at-limit fired at 20 of 20")).toBe("fired");
  expect(eventTone("near ended at 12")).toBe("eased");
  expect(eventTone("resolved at 12")).toBe("eased");
  expect(eventTone("acknowledged by x fired at 3")).toBe("other");
  expect(eventTone("snoozed by resolved")).toBe("other");
  expect(eventTone("told: fired")).toBe("other");
});

test("what was told is summed up, the worst first", () => {
  const of = (sums: object) => ({ deliveries: [], deliverySums: create(DeliverySumsSchema, sums) });
  expect(toldWords({})).toEqual({ text: "", isBad: false });
  expect(toldWords(of({ sent: 2, waiting: 1, undeliverable: 1, superseded: 3 }))).toEqual({ text: "1 undeliverable, 1 on the way, 2 taken", isBad: true });
  expect(beyondListed(of({ sent: 9_950, waiting: 50 }))).toBe(10_000);
});

test("tomorrow morning is at eight of the local clock", () => {
  const now = new Date(2026, 2, 28, 23, 30).getTime();
  expect(new Date(tomorrowMorning(now)).toString()).toBe(new Date(2026, 2, 29, 8).toString());
});
