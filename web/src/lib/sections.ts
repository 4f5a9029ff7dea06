// What of a live list stands where on the quota page.
import { type Quota } from "../gen/highwater/v1/quota_pb";
import { type Kind, type Target } from "../gen/highwater/v1/types_pb";
import { CONNECTION_KINDS, MODEL_KINDS, RISK_WEIGHT, isPool, kindOf } from "./target";

/** The sections in their order, each with its pools and meters; of a kind that nobody uses there is none. */
export function sectionsOf(byKey: ReadonlyMap<string, Quota>): { kind: Kind; quotas: Quota[] }[] {
  const all = [...byKey.values()];
  return MODEL_KINDS.map((kind) => ({ kind, quotas: all.filter((quota) => kindOf(quota.target) === kind) })).filter(({ quotas }) => quotas.length > 0);
}

/**
 * The connections in their order: each its pool, or else its meter; `undefined` where nothing is connected. A limit may be set on
 * either, and both are kept to: the one that stands worse is told, and of two that stand alike the tighter. Where the other is
 * shown, nothing of it is lost: `others` are what else is of the kind.
 */
export function connectionsOf(byKey: ReadonlyMap<string, Quota>): { kind: Kind; quota: Quota | undefined; others: Quota[] }[] {
  const all = [...byKey.values()];
  return CONNECTION_KINDS.map((kind) => {
    const of = all.filter((quota) => kindOf(quota.target) === kind);
    const [first] = of.toSorted((a, b) => tightness(b) - tightness(a) || room(a) - room(b) || Number(isPool(b.target)) - Number(isPool(a.target)));
    return { kind, quota: first, others: of.filter((quota) => quota !== first) };
  });
}

/** How badly one with a limit stands now; one without comes last. */
const tightness = (quota: Quota): number => (quota.limit ? 1 + RISK_WEIGHT[quota.risk] : 0);
const room = (quota: Quota): number => (quota.limit ? quota.limit.slots - quota.level : 0);

export const targetsOf = (quotas: readonly Quota[]): Target[] => quotas.flatMap(({ target }) => target ?? []);
