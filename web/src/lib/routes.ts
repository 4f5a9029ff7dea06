// Which way new sessions go now, by meter and by chain: rows of quotas and the chains look at it. Whoever reads it (`parts/routing`)
// is loaded after the page, so that nothing of routes is waited for.
import { useSyncExternalStore } from "react";

import type { ChainRoute } from "../gen/highwater/v1/route_pb";

/** How a model of a chain stands for new sessions. */
export interface Way {
  chain: string;
  /** "leads", "60 %", "fallback in use", "full", "down", "probing", "drained until 14:30", "pinned". */
  words: string;
  tone: "muted" | "text" | "violet" | "amber" | "red";
  /** Before the words, so that it is not said by its colour alone. */
  mark: string;
}

let byKey: ReadonlyMap<string, readonly Way[]> = new Map();
let byChain: ReadonlyMap<string, ChainRoute> = new Map();
const listeners = new Set<() => void>();
const listen = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** What is the same stays the same, so that rows are drawn anew only when something of theirs has changed. */
export function setRoutes(routes: readonly ChainRoute[], ways: ReadonlyMap<string, readonly Way[]>): void {
  const kept = new Map<string, readonly Way[]>();
  for (const [key, of] of ways) {
    const before = byKey.get(key);
    kept.set(key, before && JSON.stringify(before) === JSON.stringify(of) ? before : of);
  }
  byKey = kept;
  byChain = new Map(routes.map((route) => [route.chain, route]));
  listeners.forEach((listener) => listener());
}

export const useWays = (): ReadonlyMap<string, readonly Way[]> => useSyncExternalStore(listen, () => byKey);
export const useChainRoutes = (): ReadonlyMap<string, ChainRoute> => useSyncExternalStore(listen, () => byChain);
