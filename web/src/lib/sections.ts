// What of a live list stands where on the quota page.
import { type Quota } from "../gen/highwater/v1/quota_pb";
import { type Kind, type Target } from "../gen/highwater/v1/types_pb";
import { CONNECTION_KINDS, MODEL_KINDS, isPool, kindOf } from "./target";

/** The sections in their order, each with its pools and meters; of a kind that nobody uses there is none. */
export function sectionsOf(byKey: ReadonlyMap<string, Quota>): { kind: Kind; quotas: Quota[] }[] {
  const all = [...byKey.values()];
  return MODEL_KINDS.map((kind) => ({ kind, quotas: all.filter((quota) => kindOf(quota.target) === kind) })).filter(({ quotas }) => quotas.length > 0);
}

/** The connections in their order: each its pool, or else its meter; `undefined` where nothing is connected. */
export function connectionsOf(byKey: ReadonlyMap<string, Quota>): { kind: Kind; quota: Quota | undefined }[] {
  const all = [...byKey.values()];
  return CONNECTION_KINDS.map((kind) => {
    const of = all.filter((quota) => kindOf(quota.target) === kind);
    return { kind, quota: of.find((quota) => isPool(quota.target)) ?? of[0] };
  });
}

export const targetsOf = (quotas: readonly Quota[]): Target[] => quotas.flatMap(({ target }) => target ?? []);
