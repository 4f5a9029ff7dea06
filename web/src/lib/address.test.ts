import { beforeAll, expect, test, vi } from "vitest";

let address: typeof import("./address");

beforeAll(async () => {
  vi.stubGlobal("location", { pathname: "/", search: "" });
  vi.stubGlobal("addEventListener", () => undefined);
  address = await import("./address");
});

test("every view is in its address and comes back from it", () => {
  for (const text of [
    "/p/demo/quotas",
    "/p/demo/quotas?range=24h&select=tts/cartesia/sonic-3",
    "/p/demo/quotas?from=1700000040&to=1700003640&open=stt/deepgram/nova-3@direct",
    "/p/a%20b/sessions?q=x&worker=w-1",
  ]) {
    const [path = "", query = ""] = text.split("?");
    expect(address.format(address.parse(path, query))).toBe(text);
  }
});

test("what is no range, view or window is the default", () => {
  const parsed = address.parse("/p/x/nonsense", "range=9y&from=9&to=3");
  expect([parsed.view, parsed.range]).toEqual(["quotas", "7d"]);
});

test("an address that names no page keeps its words, and leaves them when a view is named", () => {
  const of = (path: string) => address.parse(path, "");
  expect(["/p/x/nonsense", "/p/x/quotas/more", "/nonsense", "/p/x/quotas", "/p/x", "/"].map((path) => of(path).lost)).toEqual(["nonsense", "quotas/more", "nonsense", "", "", ""]);
  expect(address.format(of("/p/x/quotas/a%20b"))).toBe("/p/x/quotas/a%20b");
  expect(address.format({ ...of("/nonsense"), project: "x" })).toBe("/p/x/nonsense");
});

test("a range ends with the minute of now", () => {
  expect(address.windowOf("1h", 7_199)).toEqual({ from: 3_600, to: 7_200 });
  expect(address.windowOf("1h", 7_200)).toEqual({ from: 3_660, to: 7_260 });
});
