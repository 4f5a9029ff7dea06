// Meters and pools: how they are spelled in addresses, what they are called, and how they stand.
import { create } from "@bufbuild/protobuf";
import { type Timestamp } from "@bufbuild/protobuf/wkt";

import { type Quota } from "../gen/highwater/v1/quota_pb";
import { Bound, Kind, type Meter, Risk, type Target, TargetSchema, Unit, Week } from "../gen/highwater/v1/types_pb";
import { boundWord } from "./bound";
import { count, many } from "./time";

export const KIND_WORD: Record<Kind, string> = {
  [Kind.UNSPECIFIED]: "",
  [Kind.LLM]: "llm",
  [Kind.STT]: "stt",
  [Kind.TTS]: "tts",
  [Kind.REALTIME]: "realtime",
  [Kind.AGENT]: "agent",
  [Kind.PARTICIPANT]: "participant",
  [Kind.SIP]: "sip",
  [Kind.INGRESS]: "ingress",
  [Kind.EGRESS]: "egress",
};
export const KIND_NAME: Record<Kind, string> = {
  [Kind.UNSPECIFIED]: "",
  [Kind.LLM]: "LLM",
  [Kind.STT]: "STT",
  [Kind.TTS]: "TTS",
  [Kind.REALTIME]: "Realtime",
  [Kind.AGENT]: "Agent sessions",
  [Kind.PARTICIPANT]: "Participants",
  [Kind.SIP]: "SIP calls",
  [Kind.INGRESS]: "Ingress",
  [Kind.EGRESS]: "Egress",
};
const UNIT_WORD: Record<Unit, string> = {
  [Unit.UNSPECIFIED]: "",
  [Unit.STREAM]: "",
  [Unit.CONNECTION]: "connection",
  [Unit.GENERATION]: "generation",
};
const DEFAULT_ACCOUNT = "livekit";

export const MODEL_KINDS = [Kind.TTS, Kind.STT, Kind.LLM, Kind.REALTIME] as const;
export const CONNECTION_KINDS = [Kind.AGENT, Kind.PARTICIPANT, Kind.SIP, Kind.INGRESS, Kind.EGRESS] as const;

export const kindOf = (target: Target | undefined): Kind => target?.target.value?.kind ?? Kind.UNSPECIFIED;
export const isPool = (target: Target | undefined): boolean => target?.target.case === "pool";

/**
 * `tts/cartesia/sonic-3`, `tts/cartesia/sonic-3@direct~generation`, and `pool:tts` or `pool:tts@direct`. A model's own `@` and
 * `~` are escaped as in an address, and so is its `%`.
 */
export function targetKey(target: Target | undefined): string {
  const of = target?.target;
  if (!of?.case) return "";
  const account = of.value.account && of.value.account !== DEFAULT_ACCOUNT ? `@${of.value.account}` : "";
  const unit = UNIT_WORD[of.value.unit] ? `~${UNIT_WORD[of.value.unit]}` : "";
  const model = of.value.model ? `/${of.value.model.replace(/[%@~]/g, encodeURIComponent).replaceAll("~", "%7E")}` : "";
  return `${of.case === "pool" ? "pool:" : ""}${KIND_WORD[of.value.kind]}${model}${account}${unit}`;
}

/** A meter as a target. */
export const targetOfMeter = (meter: Meter | undefined): Target | undefined => meter && create(TargetSchema, { target: { case: "meter", value: meter } });

/** Whose quota it counts on; the gateway's when nothing is said. */
export const accountOf = ({ target }: Quota): string => target?.target.value?.account || DEFAULT_ACCOUNT;

/** What tells it from another of the same name: its account and unit, where these are not the gateway's. */
export function ofAccount(quota: Quota): string {
  const unit = UNIT_WORD[quota.target?.target.value?.unit ?? Unit.UNSPECIFIED];
  const of = [accountOf(quota) === DEFAULT_ACCOUNT ? "" : accountOf(quota), unit ? `${unit}s` : ""].filter(Boolean).join(", ");
  return of && ` (${of})`;
}

/** What a meter or pool is called. */
export const nameOf = (quota: Quota): string => `${quota.displayName || (quota.target?.target.value?.model ?? "")}${ofAccount(quota)}`;

/** The target of a key; `undefined` when it is none. */
export function targetOf(key: string): Target | undefined {
  const found = /^(pool:)?([a-z]+)(?:\/([^@~]+))?(?:@([^~]+))?(?:~([a-z]+))?$/.exec(key);
  if (!found) return undefined;
  const [, pool, word, spelled = "", account = "", unit = ""] = found;
  const model = spelled.replace(/%(25|40|7E)/g, (_, sign: string) => String.fromCharCode(parseInt(sign, 16)));
  const kind = Number(Object.entries(KIND_WORD).find(([, name]) => name === word)?.[0] ?? 0) as Kind;
  const unitOf = Number(Object.entries(UNIT_WORD).find(([, name]) => unit && name === unit)?.[0] ?? 0) as Unit;
  if (!kind) return undefined;
  const value = { kind, model, account, unit: unitOf };
  return create(TargetSchema, { target: pool ? { case: "pool", value } : { case: "meter", value } });
}

/** Levels with a word: how near now, and how near the week, whichever is worse. */
export type Standing = "ok" | "approaching" | "at limit" | "over" | "unknown";

export const RISK_WORD: Record<Risk, Standing> = {
  [Risk.UNSPECIFIED]: "unknown",
  [Risk.OK]: "ok",
  [Risk.APPROACHING]: "approaching",
  [Risk.AT_LIMIT]: "at limit",
  [Risk.OVER]: "over",
  [Risk.UNKNOWN]: "unknown",
};
export const WEEK_WORD: Record<Week, string> = {
  [Week.UNSPECIFIED]: "",
  [Week.CALM]: "",
  [Week.ONE_OFF]: "one-off",
  [Week.REPEATING]: "repeating",
  [Week.CONSTANT]: "constant",
  [Week.SCATTERED]: "scattered",
};

export const RISK_WEIGHT: Record<Risk, number> = {
  [Risk.UNSPECIFIED]: 0,
  [Risk.OK]: 0,
  [Risk.UNKNOWN]: 1,
  [Risk.APPROACHING]: 3,
  [Risk.AT_LIMIT]: 5,
  [Risk.OVER]: 6,
};
const WEEK_WEIGHT: Record<Week, number> = {
  [Week.UNSPECIFIED]: 0,
  [Week.CALM]: 0,
  [Week.ONE_OFF]: 1,
  [Week.SCATTERED]: 2,
  [Week.REPEATING]: 3,
  [Week.CONSTANT]: 4,
};

/** How badly a quota stands: the worse of now and the week, then how full it surely was: what late reports raised is no proof. */
export function weight(quota: Quota): number {
  const isSure = quota.recentPeakBound !== Bound.AT_MOST && quota.recentPeakBound !== Bound.ABOUT;
  const full = quota.limit ? Math.min((isSure ? quota.recentPeak : quota.level) / Math.max(quota.limit.slots, 1), 2) : 0;
  return Math.max(RISK_WEIGHT[quota.risk], WEEK_WEIGHT[quota.week]) * 10 + full;
}

/** Attempts that were turned away in the last seven days, by why, in few words and in more: by our limit or the provider. */
export const turnedBy = (quota: Quota): { many: number; word: string; why: string }[] =>
  [
    { many: Number(quota.refused), word: "refused", why: "refused for our limit" },
    { many: Number(quota.diverted), word: "diverted", why: "given another model" },
    { many: Number(quota.closed?.concurrency ?? 0n), word: "at limit", why: "by the provider, at its limit" },
    { many: Number(quota.closed?.rate ?? 0n), word: "rate", why: "by the provider, for their rate" },
  ].filter(({ many }) => many > 0);

export const turnedAway = (quota: Quota): number => turnedBy(quota).reduce((sum, { many }) => sum + many, 0);

/** Why they were turned away: "refused for our limit", or how many for each reason. */
export function turnedWhy(quota: Quota): string {
  const by = turnedBy(quota);
  return by.map(({ many, why }) => (by.length > 1 ? `${count(many)} ${why}` : why)).join(", ");
}

/** "20 held; 11 attempts turned away: refused for our limit": what was refused was never held, and makes no peak. */
export function heldAndTurned(quota: Quota): string {
  const turned = turnedAway(quota);
  return `${quota.peak ? boundWord(quota.peakBound) : ""}${count(quota.peak?.level ?? quota.level)} held; ${many(turned, "attempt")} turned away${turned > 0 ? `: ${turnedWhy(quota)}` : ""}`;
}

export const seconds = (at: Timestamp | undefined): number | undefined => (at ? Number(at.seconds) : undefined);
