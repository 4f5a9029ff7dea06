// The quota page: the verdict, the connections, and a section for each type of model.
import { Suspense, lazy, useEffect, useMemo, useRef, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { setCursor } from "../../lib/cursor";
import { useLive } from "../../lib/live";
import { MODEL_KINDS, kindOf, targetKey } from "../../lib/target";
import { Dialog } from "../../parts/dialog";
import { type Asked, RequestDialog } from "../../parts/request-dialog";
import { Skeleton, SkeletonRows } from "../../parts/skeleton";
import { LimitDialog } from "./limit-dialog";
import { Section } from "./section";
import { Tiles } from "./tiles";
import { VerdictLine } from "./verdict";

const FirstUse = lazy(() => import("../first-use"));

/** What to ask for where nothing better is known: the peak with a quarter more, above the limit. */
const wantedOf = (quota: Quota): number => Math.max(Math.ceil((quota.peak?.level ?? 0) * 1.25), (quota.limit?.slots ?? 0) + 1, 1);

const isTyping = (event: KeyboardEvent): boolean =>
  event.target instanceof Element && event.target.closest("input,textarea,select,[contenteditable]") !== null;

export default function Quotas({ project }: { project: string }) {
  const live = useLive(project);
  const caller = useCaller();
  const { filter } = useAddress();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [limiting, setLimiting] = useState<{ quota: Quota; slots: number | undefined } | null>(null);
  const [helps, setHelps] = useState(false);
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
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

  const sections = useMemo(() => {
    const all = [...live.byKey.values()];
    return MODEL_KINDS.map((kind) => ({ kind, quotas: all.filter((quota) => kindOf(quota.target) === kind) })).filter(({ quotas }) => quotas.length > 0);
  }, [live.byKey]);

  const request = (quota: Quota, wanted = wantedOf(quota)) => {
    if (quota.target) setAsked({ target: quota.target, name: quota.displayName, limit: quota.limit?.slots, wanted });
  };
  const show = (key: string) => {
    go({ select: key, open: key }, { replace: true });
    requestAnimationFrame(() => document.querySelector(`[data-row="${CSS.escape(key)}"]`)?.scrollIntoView({ block: "center" }));
  };

  if (live.isEmpty) {
    return (
      <Suspense fallback={<Skeleton className="mt-6 h-64" />}>
        <FirstUse project={project} />
      </Suspense>
    );
  }
  return (
    <>
      <VerdictLine live={live} onShow={show} onRequest={request} />
      {live.status === "stale" && live.byKey.size === 0 && (
        <p role="alert" className="py-4">
          {live.problem} The page tries again by itself.
        </p>
      )}
      <Tiles project={project} live={live} />
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
          className="h-7 w-56 rounded-[4px] border bg-ground px-2 placeholder:text-muted"
        />
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
            edits={caller?.edits ?? false}
            onRequest={request}
            onSetLimit={(quota, slots) => setLimiting({ quota, slots: slots ?? quota.limit?.slots })}
          />
        ))
      )}
      {asked && <RequestDialog project={project} asked={asked} onClose={() => setAsked(null)} />}
      {limiting?.quota.target && (
        <LimitDialog
          key={targetKey(limiting.quota.target)}
          project={project}
          target={limiting.quota.target}
          name={limiting.quota.displayName}
          slots={limiting.slots}
          onClose={() => setLimiting(null)}
        />
      )}
      <Dialog open={helps} onClose={() => setHelps(false)} title="Keys">
        <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1">
          {[
            ["← →", "on a chart: the minute before, the minute after (Shift: ten, Page: an hour)"],
            ["Home End", "the first and last minute"],
            ["click", "on a line: select it; elsewhere: pin the minute"],
            ["drag", "across a chart: that window; the selected limit: what another would have meant"],
            ["/", "filter models"],
            ["Esc", "let go of minute and selection"],
          ].map(([key, what]) => (
            <div key={key} className="contents">
              <dt className="font-medium">{key}</dt>
              <dd className="text-muted">{what}</dd>
            </div>
          ))}
        </dl>
      </Dialog>
    </>
  );
}
