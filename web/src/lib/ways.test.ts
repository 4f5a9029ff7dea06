import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { OverrideSchema, Override_Action } from "../gen/highwater/v1/chain_pb";
import { ChainRouteSchema, Stand } from "../gen/highwater/v1/route_pb";
import { Kind } from "../gen/highwater/v1/types_pb";
import { clock } from "./time";
import { isDiverted, routeSentence, wayOf, waysOf } from "./ways";

const meter = (model: string) => ({ kind: Kind.TTS, model, account: "livekit" });
const route = (leader: number, ...models: [percent: number, stand: Stand][]) =>
  create(ChainRouteSchema, { chain: "voice", kind: Kind.TTS, leader, models: models.map(([percent, stand], nth) => ({ meter: meter(`m${nth}`), percent, stand })) });
const words = (of: ReturnType<typeof route>) => of.models.map((_, place) => [wayOf(of, place).words, wayOf(of, place).tone].join(": "));

test("each model of a chain says how it stands, a fallback in use in violet", () => {
  expect(words(route(0, [100, Stand.OPEN], [0, Stand.OPEN]))).toEqual(["leads: muted", "stands by: muted"]);
  expect(words(route(0, [60, Stand.FILLING], [40, Stand.OPEN]))).toEqual(["60 %: amber", "fallback, 40 %: violet"]);
  expect(words(route(1, [0, Stand.FULL], [100, Stand.OPEN]))).toEqual(["full: red", "fallback in use: violet"]);
  expect(words(route(1, [10, Stand.PROBING], [90, Stand.OPEN]))).toEqual(["probing, 10 %: amber", "fallback in use, 90 %: violet"]);
  expect(words(route(1, [0, Stand.DOWN], [100, Stand.PINNED]))).toEqual(["down: red", "pinned: violet"]);
  expect(words(route(1, [0, Stand.OPEN], [100, Stand.OPEN]))).toEqual(["returns: muted", "fallback in use: violet"]);
});

test("what is drained says until when, where that is known", () => {
  const drained = route(1, [0, Stand.DRAINED], [100, Stand.OPEN]);
  const end = Math.floor(Date.now() / 1_000) + 600;
  const said = (model: string) => create(OverrideSchema, { chain: "voice", model: meter(model), action: Override_Action.DRAIN, endTime: { seconds: BigInt(end), nanos: 0 } });
  expect(wayOf(drained, 0).words).toBe("drained");
  expect(wayOf(drained, 0, [said("m1")]).words).toBe("drained");
  expect(wayOf(drained, 0, [said("m0")]).words).toBe(`drained until ${clock(end)}`);
});

test("of several chains the one that most is to be said of comes first", () => {
  const calm = { ...route(0, [100, Stand.OPEN]), chain: "a" };
  const found = waysOf([calm, route(0, [0, Stand.DOWN])]);
  expect(found.get("tts/m0")?.map(({ chain }) => chain)).toEqual(["voice", "a"]);
});

test("where new sessions go is a sentence", () => {
  const names = ["Ada", "Bob"];
  expect(routeSentence(route(0, [100, Stand.OPEN], [0, Stand.OPEN]), names)).toBe("New sessions go to Ada.");
  expect(routeSentence(route(1, [0, Stand.DOWN], [100, Stand.OPEN]), names)).toBe("Fallback in use: new sessions go to Bob.");
  const shared = route(0, [60, Stand.FILLING], [40, Stand.OPEN]);
  expect(routeSentence(shared, names)).toBe("Fallback in use: of new sessions 60 % to Ada, 40 % to Bob.");
  expect([isDiverted(shared), isDiverted(route(0, [100, Stand.OPEN], [0, Stand.OPEN]))]).toEqual([true, false]);
  expect(routeSentence(route(0, [0, Stand.FULL], [0, Stand.FULL]), names)).toBe("No model takes new sessions.");
});
