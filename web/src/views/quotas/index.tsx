// The quota page: the verdict, the connections, and a section for each type of model.
import { useEffect, useMemo, useRef, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { setCursor } from "../../lib/cursor";
import { whenIdle } from "../../lib/idle";
import { useLive } from "../../lib/live";
import { sectionsOf } from "../../lib/sections";
import { CONNECTION_KINDS, kindOf, nameOf, targetKey, targetOf } from "../../lib/target";
import { Button } from "../../parts/button";
import type { Asked } from "../../parts/request-dialog";
import { part } from "../../parts/part";
import { Skeleton, SkeletonRows } from "../../parts/skeleton";
import { Section } from "./section";
import { Tiles } from "./tiles";
import { VerdictLine } from "./verdict";

const RequestDialog = part("The request", () => import("../../parts/request-dialog").then((of) => of.RequestDialog));
const Choose = part("The choice of models", () => import("../requests/choose").then((of) => of.Choose));
const LimitDialog = part("The limit", () => import("./limit-dialog").then((of) => of.default));
const KeysDialog = part("The list of keys", () => import("./keys-dialog").then((of) => of.default));
const FirstUse = part("How to begin", () => import("../first-use").then((of) => of.default), <Skeleton className="mt-6 h-64" />);

const RoutingReader = part("Which way sessions go", () => whenIdle().then(() => import("../../parts/routing")).then((of) => of.default));

/** What to ask for where nothing better is known: the peak with a quarter more, above the limit. */
const wantedOf = (quota: Quota): number => Math.max(Math.ceil((quota.peak?.level ?? 0) * 1.25), (quota.limit?.slots ?? 0) + 1, 1);

const isTyping = (event: KeyboardEvent): boolean =>
  event.target instanceof Element && event.target.closest("input,textarea,select,[contenteditable]") !== null;

export default function Quotas({ project }: { project: string }) {
  const live = useLive(project);
  const caller = useCaller();
  const { filter, select } = useAddress();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [limiting, setLimiting] = useState<{ quota: Quota; slots: number | undefined } | null>(null);
  const [helps, setHelps] = useState(false);
  const [chooses, setChooses] = useState(false);
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // What a dialog or a menu took is theirs.
      if (event.defaultPrevented || document.querySelector("dialog[open],[role=menu]")) return;
      if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "/") search.current?.focus();
      else if (event.key === "?") setHelps(true);
      else if (event.key === "Escape") {
        setCursor({ at: null, pinned: false });
        go({ select: "", open: "" }, { replace: true });
        return;
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  // The row that an address names is in sight from the start, as mails and alerts link it.
  const linked = useRef(select);
  const isThere = live.byKey.size > 0;
  useEffect(() => {
    const key = linked.current;
    if (!isThere || !key) return;
    linked.current = "";
    // A connection has no row: its tile is opened.
    if (CONNECTION_KINDS.some((kind) => kind === kindOf(targetOf(key)))) return go({ open: key }, { replace: true });
    requestAnimationFrame(() => document.querySelector(`[data-row="${CSS.escape(key)}"]`)?.scrollIntoView({ block: "nearest" }));
  }, [isThere]);

  const sections = useMemo(() => sectionsOf(live.byKey), [live.byKey]);

  const request = (quota: Quota, wanted = wantedOf(quota)) => {
    if (quota.target) setAsked({ target: quota.target, name: nameOf(quota), limit: quota.limit?.slots, wanted });
  };
  const edits = caller?.edits ?? false;
  const setLimit = (quota: Quota, slots = quota.limit?.slots) => setLimiting({ quota, slots });
  const show = (key: string) => {
    go({ select: key, open: key }, { replace: true });
    requestAnimationFrame(() => document.querySelector(`[data-row="${CSS.escape(key)}"]`)?.scrollIntoView({ block: "center" }));
  };

  if (live.isEmpty) {
    return (
      <FirstUse project={project} />
    );
  }
  // Nothing was ever heard: to show what there is none of would be made up.
  if (live.status === "stale" && live.byKey.size === 0) {
    return (
      <section role="alert" className="pt-12">
        <h1 className="text-[20px] leading-7 font-semibold">Nothing is known yet.</h1>
        <p className="mt-1 text-muted">{live.problem} The page tries again by itself.</p>
      </section>
    );
  }
  return (
    <>
      {caller && live.status !== "connecting" && <RoutingReader project={project} />}
      <VerdictLine live={live} onShow={show} onRequest={request} />
      <Tiles project={project} live={live} edits={edits} onRequest={request} onSetLimit={setLimit} />
      <div className="mt-4 flex items-center gap-2">
        <label htmlFor="filter" className="sr-only">
          Filter models
        </label>
        <input
          id="filter"
          ref={search}
          type="search"
          placeholder="Filter models  /"
          value={filter}
          onChange={(event) => go({ filter: event.target.value }, { replace: true })}
          onKeyDown={(event) => {
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          className="h-7 max-w-56 min-w-0 flex-1 rounded-[4px] border bg-ground px-2 placeholder:text-muted"
        />
        <span className="ml-auto flex gap-1">
          <Button look="quiet" onClick={() => setChooses(true)}>
            Request another model
          </Button>
          <Button look="quiet" aria-label="Keys" title="Keys" onClick={() => setHelps(true)}>
            ?
          </Button>
        </span>
      </div>
      {live.status === "connecting" ? (
        <div className="mt-8 grid gap-6" aria-busy="true">
          <Skeleton className="h-[220px] w-full" />
          <SkeletonRows rows={5} />
        </div>
      ) : (
        sections.map(({ kind, quotas }) => (
          <Section
            key={kind}
            project={project}
            kind={kind}
            quotas={quotas}
            stale={live.status === "stale"}
            asOf={live.status === "stale" ? live.asOf : 0}
            edits={edits}
            onRequest={request}
            onSetLimit={setLimit}
          />
        ))
      )}
      {asked && <RequestDialog project={project} asked={asked} onClose={() => setAsked(null)} />}
        {chooses && (
          <Choose
            project={project}
            onClose={() => setChooses(false)}
            onChosen={(chosen) => {
              setChooses(false);
              setAsked(chosen);
            }}
          />
        )}
        {limiting?.quota.target && (
          <LimitDialog
            key={targetKey(limiting.quota.target)}
            project={project}
            target={limiting.quota.target}
            name={nameOf(limiting.quota)}
            slots={limiting.slots}
            onClose={() => setLimiting(null)}
          />
        )}
        {helps && <KeysDialog onClose={() => setHelps(false)} />}
    </>
  );
}
