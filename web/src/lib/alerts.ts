// Alerts as the page spells them: the calls, what they are called, and how they are told apart in addresses.
import { type Alert, AlertDelivery_State as State, AlertKind, AlertPhase, AlertService, NoticeKind, Severity } from "../gen/highwater/v1/alert_pb";
import { client } from "./service";
import { seconds } from "./target";
import { count } from "./time";

export const alerts = client(AlertService);

/** The project of what is of the service itself. */
export const ACROSS = "-";

export const ALERT_WORD: Record<AlertKind, string> = {
  [AlertKind.UNSPECIFIED]: "",
  [AlertKind.APPROACHING]: "approaching",
  [AlertKind.AT_LIMIT]: "at limit",
  [AlertKind.OVER]: "over",
  [AlertKind.WORKERS_SILENT]: "workers silent",
  [AlertKind.STORE_DEGRADED]: "store degraded",
  [AlertKind.AUDIT_DRIFT]: "audit drift",
  [AlertKind.WEBHOOKS_DISAGREE]: "webhooks disagree",
  [AlertKind.REFUSED]: "attempts turned away",
  [AlertKind.FALLBACK_IN_USE]: "fallback in use",
  [AlertKind.PROVIDER_DOWN]: "provider down",
  [AlertKind.PROVIDER_DISAGREES]: "provider disagrees",
};
/** As rules and addresses spell them. */
export const ALERT_SLUG: Record<AlertKind, string> = {
  [AlertKind.UNSPECIFIED]: "",
  [AlertKind.APPROACHING]: "approaching",
  [AlertKind.AT_LIMIT]: "at-limit",
  [AlertKind.OVER]: "over",
  [AlertKind.WORKERS_SILENT]: "workers-silent",
  [AlertKind.STORE_DEGRADED]: "store-degraded",
  [AlertKind.AUDIT_DRIFT]: "audit-drift",
  [AlertKind.WEBHOOKS_DISAGREE]: "webhooks-disagree",
  [AlertKind.REFUSED]: "refused",
  [AlertKind.FALLBACK_IN_USE]: "fallback-in-use",
  [AlertKind.PROVIDER_DOWN]: "provider-down",
  [AlertKind.PROVIDER_DISAGREES]: "provider-disagrees",
};
export const LEVEL_KINDS = [AlertKind.APPROACHING, AlertKind.AT_LIMIT, AlertKind.OVER] as const;
export const SERVICE_KINDS = [AlertKind.STORE_DEGRADED, AlertKind.AUDIT_DRIFT, AlertKind.WEBHOOKS_DISAGREE] as const;
/** Of the way that sessions of a model go. */
export const WAY_KINDS: readonly AlertKind[] = [AlertKind.REFUSED, AlertKind.FALLBACK_IN_USE, AlertKind.PROVIDER_DOWN, AlertKind.PROVIDER_DISAGREES];
export const isOfLevel = (kind: AlertKind): boolean => LEVEL_KINDS.some((one) => one === kind);

export const SEVERITY_WORD: Record<Severity, string> = {
  [Severity.UNSPECIFIED]: "",
  [Severity.INFO]: "info",
  [Severity.WARNING]: "warning",
  [Severity.CRITICAL]: "critical",
};
export const NOTICE_WORD: Record<NoticeKind, string> = {
  [NoticeKind.UNSPECIFIED]: "",
  [NoticeKind.FIRED]: "it fires",
  [NoticeKind.REPEATED]: "it fires still",
  [NoticeKind.RESOLVED]: "it has ended",
  [NoticeKind.FIRED_AND_RESOLVED]: "it fired, and has ended",
  [NoticeKind.TEST]: "a test",
};
export const DELIVERY_WORD: Record<State, string> = {
  [State.UNSPECIFIED]: "",
  [State.QUEUED]: "waits",
  [State.SENDING]: "being sent",
  [State.RETRYING]: "tried again",
  [State.SENT]: "taken",
  [State.UNDELIVERABLE]: "undeliverable",
  [State.SUPERSEDED]: "another notice tells of it",
};

/** One episode of an alert, in addresses: episodes of the same meter or pool have the same name. */
export const episodeKey = (alert: Alert): string => `${alert.name}@${seconds(alert.beginTime) ?? 0}`;
/** The episode of an address: a name alone, as mails have it, is of the newest. Of alerts that stand newest first. */
export const episodeOf = (rows: readonly Alert[], key: string): Alert | undefined =>
  rows.find((alert) => episodeKey(alert) === key) ?? rows.find((alert) => alert.name === key);

export type Tone = "red" | "amber" | "muted";
/** What colour says of it: at the limit, over it, or critical is red; over is quiet. */
export function toneOf({ phase, severity, kind }: Pick<Alert, "phase" | "severity" | "kind">): Tone {
  if (phase !== AlertPhase.FIRING) return "muted";
  return severity === Severity.CRITICAL || kind === AlertKind.AT_LIMIT || kind === AlertKind.OVER ? "red" : "amber";
}
export const TONE_TEXT: Record<Tone, string> = { red: "text-red", amber: "text-amber", muted: "text-muted" };

const limitOf = ({ limitPlusOne }: Pick<Alert, "limitPlusOne">): number | undefined => (limitPlusOne > 0 ? limitPlusOne - 1 : undefined);

/** "19 of 20", "19" where nothing limits it; nothing for what has no level. */
export function levelWords(alert: Pick<Alert, "limitPlusOne" | "kind">, level: number): string {
  if (!isOfLevel(alert.kind)) return "";
  const limit = limitOf(alert);
  return limit === undefined ? count(level) : `${count(level)} of ${count(limit)}`;
}

/** Its share of the limit in whole percent, rounded down: at 100 % it is full. */
export function share(alert: Pick<Alert, "limitPlusOne">, level: number): number | undefined {
  const limit = limitOf(alert);
  return limit ? Math.floor((level * 100) / limit) : undefined;
}

/** What happened: how an event stands in the timeline. The service says it in words that begin so. */
export function eventTone(text: string): "fired" | "eased" | "other" {
  if (/^[a-z0-9._-]+ fired\b/.test(text)) return "fired";
  if (/^(resolved at|[a-z0-9._-]+ ended)\b/.test(text)) return "eased";
  return "other";
}

/** How what was told stands, in few words, the worst first: "1 undeliverable", "2 tried again", "3 taken". */
export function toldWords({ deliverySums: sums }: Pick<Alert, "deliverySums">): { text: string; isBad: boolean } {
  if (!sums) return { text: "", isBad: false };
  const said = [
    sums.undeliverable && `${count(sums.undeliverable)} undeliverable`,
    sums.retrying && `${count(sums.retrying)} tried again`,
    sums.waiting && `${count(sums.waiting)} on the way`,
    sums.sent && `${count(sums.sent)} taken`,
  ].filter((words) => words !== 0);
  return { text: said.join(", "), isBad: sums.undeliverable > 0 };
}

/** How many deliveries there are beyond those that are listed. */
export const beyondListed = ({ deliveries, deliverySums: sums }: Pick<Alert, "deliveries" | "deliverySums">): number =>
  sums ? sums.undeliverable + sums.retrying + sums.waiting + sums.sent + sums.superseded - deliveries.length : 0;

/** Tomorrow at 8:00 of the local clock, in milliseconds. */
export function tomorrowMorning(now: number): number {
  const at = new Date(now);
  at.setDate(at.getDate() + 1);
  at.setHours(8, 0, 0, 0);
  return at.getTime();
}
