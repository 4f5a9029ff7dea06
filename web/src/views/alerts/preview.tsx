// "In the last seven days this would have fired 3 times": asked of the service when somebody stops typing.
import { toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { type AlertRule, AlertRuleSchema, type PreviewAlertRuleResponse } from "../../gen/highwater/v1/alert_pb";
import { alerts } from "../../lib/alerts";
import { fieldProblem } from "../../lib/problems";
import { useNames } from "../../lib/names";
import { words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { count, duration, many, moment } from "../../lib/time";
import { Button } from "../../parts/button";

/** Somebody who pauses so long has typed what they mean. */
const PAUSE_MS = 350;
const FIRST_SHOWN = 6;
/** What one answer holds. */
const MOST_CROSSINGS = 1_000;

function useSettled<T>(value: T, key: string): T {
  const [settled, settle] = useState({ key, value });
  useEffect(() => {
    const timer = setTimeout(() => settle({ key, value }), PAUSE_MS);
    return () => clearTimeout(timer);
    // The key is all of the value.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return settled.value;
}

/** What a rule would have fired; nothing is asked for a rule that can't be one. */
export function Preview({ project, rule, onError }: { project: string; rule: AlertRule | undefined; onError: (message: string) => void }) {
  const key = rule ? [...toBinary(AlertRuleSchema, rule)].join(",") : "";
  const asked = useSettled(rule, key);
  const askedKey = asked ? [...toBinary(AlertRuleSchema, asked)].join(",") : "";
  const { data, error, isPending, isError, isPlaceholderData, refetch } = useQuery({
    queryKey: ["alert-preview", project, askedKey],
    queryFn: () => alerts.previewAlertRule({ project, ...(asked && { rule: asked }) }),
    enabled: asked !== undefined,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: false,
  });
  const message = isError ? ConnectError.from(error).rawMessage : "";
  useEffect(() => onError(message), [message, onError]);
  const isOfField = message !== "" && fieldProblem(message).field !== "";
  const isOld = !rule || isPlaceholderData || key !== askedKey;
  return (
    <section aria-label="Preview" className="mt-4 rounded-[4px] border bg-raised px-3 py-2.5">
      {!rule || isOfField ? (
        <p role="status" className="text-muted">
          What it would have fired is told when it can be a rule.
        </p>
      ) : isError ? (
        <p role="status" className="text-muted">
          What it would have fired is not known. {words(error)}{" "}
          <button type="button" className="text-blue hover:underline" onClick={() => void refetch()}>
            Retry
          </button>
        </p>
      ) : isPending ? (
        <p role="status" className="text-muted">
          Looking at the last seven days…
        </p>
      ) : (
        <div className={isOld ? "opacity-60" : ""}>
          <Crossings of={data} project={project} />
        </div>
      )}
    </section>
  );
}

function Crossings({ of, project }: { of: PreviewAlertRuleResponse; project: string }) {
  const nameOf = useNames(project);
  const [all, setAll] = useState(false);
  const { crossings, targets } = of;
  const shown = all ? crossings : crossings.slice(-FIRST_SHOWN);
  const times = crossings.length >= MOST_CROSSINGS ? `${count(MOST_CROSSINGS)} times or more` : crossings.length === 1 ? "once" : many(crossings.length, "time");
  const watched = `${many(targets, "model or pool is", "models and pools are")} watched`;
  return (
    <>
      <p role="status">
        {targets === 0 ? (
          "No model or pool with a limit fits it."
        ) : crossings.length === 0 ? (
          `In the last seven days this would not have fired; ${watched}.`
        ) : (
          <>
            In the last seven days this would have fired <strong className="font-semibold">{times}</strong>; {watched}.
          </>
        )}
      </p>
      {shown.length > 0 && (
        <ol aria-label="What it would have fired" className={`mt-1.5 grid gap-x-8 sm:grid-cols-2 ${shown.length > FIRST_SHOWN ? "max-h-56 overflow-auto" : ""}`} tabIndex={shown.length > FIRST_SHOWN ? 0 : undefined}>
          {shown.toReversed().map(({ target, fireTime, resolveTime, peak }, nth) => {
            const [from, to] = [seconds(fireTime) ?? 0, seconds(resolveTime)];
            return (
              <li key={nth} className="flex gap-3 border-t py-0.5">
                <span className="whitespace-nowrap">
                  {moment(from)} {to === undefined ? "until now" : `for ${duration(to - from)}`}
                </span>
                <span className="ml-auto truncate text-muted" title={nameOf(target)}>
                  {nameOf(target)}
                </span>
                <span className="whitespace-nowrap">up to {count(peak)}</span>
              </li>
            );
          })}
        </ol>
      )}
      {crossings.length > FIRST_SHOWN && (
        <Button look="quiet" className="mt-1 -ml-1.5" onClick={() => setAll(!all)}>
          {all ? "Show the newest alone" : `Show all ${count(crossings.length)}`}
        </Button>
      )}
    </>
  );
}
