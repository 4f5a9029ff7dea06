// The live list of a project: one watch a browser. The tab that holds the lock listens to the service and tells the others
// what it hears; when it closes, the next takes over.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { useSyncExternalStore } from "react";

import { type Quota, type Verdict, type WatchQuotasResponse, WatchQuotasResponseSchema } from "../gen/highwater/v1/quota_pb";
import { quotas as service, words } from "./service";
import { targetKey } from "./target";
import { ZONE } from "./time";

/** A beat is heard each second; when none was heard for so long, what is shown is stale. */
const STALE_AFTER_MS = 15_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

export interface Live {
  status: "connecting" | "live" | "stale";
  /** Since when it is live, or the moment that the levels are of; seconds since 1970. */
  since: number;
  asOf: number;
  settling: boolean;
  verdict: Verdict | undefined;
  byKey: ReadonlyMap<string, Quota>;
  /** Why it is stale, in words. */
  problem: string;
  /** Nothing was ever reported in the project. */
  isEmpty: boolean;
}

type Told = { heard: Uint8Array; first: boolean } | { ask: true } | { failed: string; isEmpty: boolean };

const NOTHING: Live = {
  status: "connecting",
  since: 0,
  asOf: 0,
  settling: false,
  verdict: undefined,
  byKey: new Map(),
  problem: "",
  isEmpty: false,
};

class Watch {
  state = NOTHING;
  readonly listeners = new Set<() => void>();
  private readonly channel: BroadcastChannel;
  private readonly ending = new AbortController();
  private leads = false;
  private heardAt = 0;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(readonly project: string) {
    this.channel = new BroadcastChannel(`highwater-watch-${project}`);
    this.channel.onmessage = (event: MessageEvent<Told>) => this.told(event.data);
    this.channel.postMessage({ ask: true } satisfies Told);
    this.timer = setInterval(() => this.checkStale(), 1_000);
    const { signal } = this.ending;
    navigator.locks.request(`highwater-watch-${project}`, { signal }, () => this.lead()).catch(() => undefined);
  }

  end(): void {
    this.ending.abort();
    this.channel.close();
    clearInterval(this.timer);
  }

  private set(change: Partial<Live>): void {
    this.state = { ...this.state, ...change };
    this.listeners.forEach((listener) => listener());
  }

  private checkStale(): void {
    if (this.state.status === "live" && Date.now() - this.heardAt > STALE_AFTER_MS) {
      this.set({ status: "stale", problem: "Nothing was heard for a while." });
    }
  }

  private told(told: Told): void {
    if ("heard" in told) this.hear(fromBinary(WatchQuotasResponseSchema, told.heard), told.first);
    else if ("failed" in told) this.set({ status: "stale", problem: told.failed, isEmpty: told.isEmpty });
    else if (this.leads && this.state.status === "live") this.tell(this.whole(), true);
  }

  private tell(message: WatchQuotasResponse, first: boolean): void {
    this.channel.postMessage({ heard: toBinary(WatchQuotasResponseSchema, message), first } satisfies Told);
  }

  /** All that is known, as a first message. */
  private whole(): WatchQuotasResponse {
    const { byKey, asOf, settling, verdict } = this.state;
    return {
      $typeName: "highwater.v1.WatchQuotasResponse",
      quotas: [...byKey.values()],
      asOf: { $typeName: "google.protobuf.Timestamp", seconds: BigInt(asOf), nanos: 0 },
      settling,
      ...(verdict && { verdict }),
    };
  }

  private hear(message: WatchQuotasResponse, first: boolean): void {
    this.heardAt = Date.now();
    const asOf = Number(message.asOf?.seconds ?? 0n);
    let byKey = this.state.byKey;
    if (first || message.quotas.length > 0) {
      const next = first ? new Map<string, Quota>() : new Map(byKey);
      for (const quota of message.quotas) next.set(targetKey(quota.target), quota);
      byKey = next;
    }
    const since = this.state.status === "live" ? this.state.since : Date.now() / 1_000;
    const verdict = message.verdict ?? this.state.verdict;
    this.set({ status: "live", since, asOf, settling: message.settling, verdict, byKey, problem: "", isEmpty: byKey.size === 0 });
  }

  /** Listens for as long as this tab is there. */
  private async lead(): Promise<void> {
    const { signal } = this.ending;
    this.leads = true;
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        let first = true;
        for await (const message of service.watchQuotas({ project: this.project, timeZone: ZONE }, { signal })) {
          this.tell(message, first);
          this.hear(message, first);
          first = false;
          wait = FIRST_WAIT_MS;
        }
      } catch (error) {
        if (signal.aborted) return;
        // A project that nobody reported in yet is no trouble.
        const isEmpty = ConnectError.from(error).code === Code.NotFound;
        const failed = words(error);
        this.channel.postMessage({ failed, isEmpty } satisfies Told);
        this.set({ status: "stale", problem: failed, isEmpty });
      }
      // With jitter, so that all browsers do not come back at once.
      await new Promise((done) => setTimeout(done, wait * (0.5 + Math.random())));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }
}

let watch: Watch | undefined;

function watching(project: string): Watch {
  if (watch?.project !== project) {
    watch?.end();
    watch = new Watch(project);
  }
  return watch;
}

/** Begins anew: after a sign-in. */
export function watchAgain(): void {
  if (!watch) return;
  const { project, listeners } = watch;
  watch.end();
  watch = new Watch(project);
  listeners.forEach((listener) => watch?.listeners.add(listener));
  listeners.forEach((listener) => listener());
}

/** Tells the first list of a project that is heard; nothing when the first that is heard is a failure. */
export function whenHeard(project: string, tell: (live: Live) => void): void {
  const of = watching(project);
  const listener = () => {
    if (of.state.status === "connecting") return;
    of.listeners.delete(listener);
    if (of.state.status === "live") tell(of.state);
  };
  of.listeners.add(listener);
}

/** The live list of a project. */
export function useLive(project: string): Live {
  return useSyncExternalStore(
    (listener) => {
      const of = watching(project);
      of.listeners.add(listener);
      return () => {
        of.listeners.delete(listener);
        watch?.listeners.delete(listener);
      };
    },
    () => (watch?.project === project ? watch.state : NOTHING),
  );
}
