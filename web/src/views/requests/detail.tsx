import { type ReactNode } from "react";

import { type IncreaseRequest, IncreaseRequest_State as State } from "../../gen/highwater/v1/request_pb";
import { Week } from "../../gen/highwater/v1/types_pb";
import { go } from "../../lib/address";
import { WEEK_WORD, seconds, targetKey } from "../../lib/target";
import { count, full, many, minutesLong, moment } from "../../lib/time";
import { By } from "../../parts/by";
import { Peak } from "../../parts/peak";
import { When } from "../../parts/when";

const DID: Partial<Record<State, string>> = {
  [State.APPROVED]: "Approved",
  [State.APPROVED_IN_PART]: "Approved in part",
  [State.DECLINED]: "Declined",
  [State.WITHDRAWN]: "Withdrawn",
};

/** The evidence of a request, and what became of it. */
export function Detail({ request }: { request: IncreaseRequest }) {
  const { evidence, decision } = request;
  const end = seconds(request.endTime);
  const key = targetKey(request.target);
  return (
    <div className="grid gap-x-10 gap-y-4 pl-4 md:grid-cols-2 max-md:pl-0">
      <section aria-label="Evidence">
        <h3 className="font-medium">The week before it was asked</h3>
        {evidence && evidence.minutesCovered > 0 ? (
          <dl className="mt-1">
            <Line term="Limit">{evidence.limitPlusOne ? count(evidence.limitPlusOne - 1) : "none"}</Line>
            <Line term="Peak">
              {evidence.peak ? (
                <>
                  <Peak level={evidence.peak.level} bound={evidence.peakBound} />, {moment(seconds(evidence.peak.at) ?? 0)}
                </>
              ) : (
                "–"
              )}
            </Line>
            <Line term="At or above 90 %">{minutesLong(evidence.minutesNearLimit)}</Line>
            <Line term="Kind of peaks">{evidence.week === Week.CALM ? "calm" : WEEK_WORD[evidence.week] || "–"}</Line>
            <Line term="Turned away">{many(evidence.turnedAway, "attempt")}</Line>
            <Line term="Covered by reports">{minutesLong(evidence.minutesCovered)}</Line>
          </dl>
        ) : (
          <p className="mt-1 text-muted">Nothing was reported of it in that week: it is not in use yet.</p>
        )}
        {key && (
          <a
            className="mt-1 inline-block text-blue hover:underline"
            href={`/p/${encodeURIComponent(request.project)}/quotas?select=${encodeURIComponent(key)}`}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              go({ project: request.project, view: "quotas", select: key, open: "" });
            }}
          >
            Show it on its chart
          </a>
        )}
      </section>
      <section aria-label="History">
        <h3 className="font-medium">What became of it</h3>
        <ol className="mt-1 grid gap-2">
          <li>
            <span className="text-muted">
              <When at={seconds(request.createTime) ?? 0} /> <By id={request.createdBy} name={request.createdByName} />:
            </span>{" "}
            asked for {count(request.wantedSlots)}
            {end !== undefined && ` until ${full(end)}`}.
            <p className="wrap-anywhere whitespace-pre-wrap text-muted">“{request.reason}”</p>
          </li>
          {decision && (
            <li>
              <span className="text-muted">
                <When at={seconds(decision.decideTime) ?? 0} /> <By id={decision.decidedBy} name={decision.decidedByName} />:
              </span>{" "}
              {DID[request.state] ?? "Decided"}
              {decision.slots > 0 && `: ${count(decision.slots)}`}
              {decision.slots > 0 && decision.endTime && ` until ${full(seconds(decision.endTime) ?? 0)}`}.
              {decision.word && <p className="wrap-anywhere whitespace-pre-wrap text-muted">“{decision.word}”</p>}
            </li>
          )}
          {!decision && <li className="text-muted">An operator has not decided yet.</li>}
        </ol>
      </section>
    </div>
  );
}

const Line = ({ term, children }: { term: string; children: ReactNode }) => (
  <div className="flex max-w-96 justify-between gap-6 border-b py-0.5">
    <dt className="text-muted">{term}</dt>
    <dd>{children}</dd>
  </div>
);
