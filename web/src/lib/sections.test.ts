import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { type Quota, QuotaSchema } from "../gen/highwater/v1/quota_pb";
import { Kind, Risk } from "../gen/highwater/v1/types_pb";
import { connectionsOf } from "./sections";
import { targetKey } from "./target";

const agents = (of: "pool" | "meter", risk: Risk, level: number, slots?: number): Quota =>
  create(QuotaSchema, { target: { target: { case: of, value: { kind: Kind.AGENT } } }, risk, level, ...(slots !== undefined && { limit: { slots } }) });
const told = (...quotas: Quota[]) => {
  const found = connectionsOf(new Map(quotas.map((quota) => [targetKey(quota.target), quota]))).find(({ kind }) => kind === Kind.AGENT);
  return [targetKey(found?.quota?.target), ...(found?.others ?? []).map(({ target }) => targetKey(target))];
};

test("of a connection's pool and meter the tighter limit is told, and the other is not lost", () => {
  expect(told(agents("pool", Risk.UNSPECIFIED, 3), agents("meter", Risk.OVER, 3, 2))).toEqual(["agent", "pool:agent"]);
  expect(told(agents("pool", Risk.OK, 3, 100), agents("meter", Risk.OVER, 3, 2))).toEqual(["agent", "pool:agent"]);
  expect(told(agents("pool", Risk.OVER, 3, 2), agents("meter", Risk.OK, 3, 100))).toEqual(["pool:agent", "agent"]);
  // Both are calm: the one with less room.
  expect(told(agents("pool", Risk.OK, 3, 100), agents("meter", Risk.OK, 3, 50))).toEqual(["agent", "pool:agent"]);
  expect(told(agents("meter", Risk.UNSPECIFIED, 3), agents("pool", Risk.UNSPECIFIED, 3))).toEqual(["pool:agent", "agent"]);
  expect(told(agents("meter", Risk.UNKNOWN, 0))).toEqual(["agent"]);
  expect(told()).toEqual([""]);
});
