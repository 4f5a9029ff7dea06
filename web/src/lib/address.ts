// What the page shows is in its address, so that every view can be linked.
import { useSyncExternalStore } from "react";

export const VIEWS = ["quotas", "sessions", "requests", "alerts", "settings", "operator"] as const;
export type View = (typeof VIEWS)[number];

/** Ranges of a click, in seconds. */
export const RANGES = { "1h": 3_600, "6h": 21_600, "24h": 86_400, "7d": 604_800 } as const;
export type RangeName = keyof typeof RANGES;

export interface Address {
  /** Empty for that of the credential. */
  project: string;
  view: View;
  /** What the address names where there is no such page; empty where there is one. */
  lost: string;
  /** A range up to now, or a window in whole seconds since 1970. */
  range: RangeName | { from: number; to: number };
  /** The selected meter or pool, as `targetKey` spells it. */
  select: string;
  /** The row whose detail is open. */
  open: string;
  /** Text that rows must have. */
  filter: string;
  /** Whatever else a view keeps here. */
  rest: Record<string, string>;
}

const isView = (text: string | undefined): text is View => VIEWS.includes(text as View);
const isRange = (text: string | null): text is RangeName => text !== null && Object.hasOwn(RANGES, text);

/** Of an address that somebody mistyped, what they typed. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function parse(path: string, query: string): Address {
  const parts = path.split("/").filter(Boolean).map(decoded);
  const of = new URLSearchParams(query);
  const [from, to] = [Number(of.get("from")), Number(of.get("to"))];
  const isWindow = Number.isInteger(from) && Number.isInteger(to) && 0 < from && from < to;
  const named = of.get("range");
  const [view, ...beyond] = parts[0] === "p" ? parts.slice(2) : parts;
  const isLost = (view !== undefined && !isView(view)) || beyond.length > 0;
  const address: Address = {
    project: parts[0] === "p" ? (parts[1] ?? "") : "",
    view: isView(view) ? view : "quotas",
    lost: isLost ? [view, ...beyond].join("/") : "",
    range: isWindow ? { from, to } : isRange(named) ? named : "7d",
    select: of.get("select") ?? "",
    open: of.get("open") ?? "",
    filter: of.get("q") ?? "",
    rest: {},
  };
  for (const [name, value] of of) {
    if (!["from", "to", "range", "select", "open", "q"].includes(name)) address.rest[name] = value;
  }
  return address;
}

export function format(address: Address): string {
  const query = new URLSearchParams();
  if (typeof address.range === "object") {
    query.set("from", String(address.range.from));
    query.set("to", String(address.range.to));
  } else if (address.range !== "7d") {
    query.set("range", address.range);
  }
  if (address.select) query.set("select", address.select);
  if (address.open) query.set("open", address.open);
  if (address.filter) query.set("q", address.filter);
  for (const [name, value] of Object.entries(address.rest)) if (value) query.set(name, value);
  const room = address.lost ? address.lost.split("/").map(encodeURIComponent).join("/") : address.view;
  const path = address.project ? `/p/${encodeURIComponent(address.project)}/${room}` : `/${room}`;
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%40", "@").replaceAll("%3A", ":");
  return text ? `${path}?${text}` : path;
}

/** The window in seconds: whole minutes, its end the end of the minute of `now`. */
export function windowOf(range: Address["range"], now: number): { from: number; to: number } {
  if (typeof range === "object") return range;
  const to = Math.ceil((now + 1) / 60) * 60;
  return { from: to - RANGES[range], to };
}

let current = parse(location.pathname, location.search);
const listeners = new Set<() => void>();

function changed() {
  current = parse(location.pathname, location.search);
  listeners.forEach((listener) => listener());
}

addEventListener("popstate", changed);

export const address = (): Address => current;

/** Changes the address; `replace` leaves no step to go back to. */
export function go(change: Partial<Address>, { replace = false } = {}): void {
  const next = { ...current, ...change };
  // What a view keeps is its own.
  if (change.view && change.view !== current.view && !change.rest) next.rest = {};
  if (change.view && change.lost === undefined) next.lost = "";
  const text = format(next);
  if (text === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", text);
  else history.pushState(null, "", text);
  changed();
}

export function useAddress(): Address {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, address);
}
