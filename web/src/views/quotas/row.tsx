// A row of a quota table: how a model stands now and stood in the week, and which way its new sessions go.
import { Fragment, memo } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Bound, Risk } from "../../gen/highwater/v1/types_pb";
import { type Firing } from "../../lib/firing";
import { type Way } from "../../lib/routes";
import { heldAndTurned, nameOf, seconds, turnedAway, turnedBy, turnedWhy, WEEK_WORD } from "../../lib/target";
import { count, day, minutesLong, moment } from "../../lib/time";
import { Bell } from "../../parts/bell";
import { Button } from "../../parts/button";
import { Peak } from "../../parts/peak";
import { When } from "../../parts/when";
import { BarCell } from "./bar-cell";
import { RouteCell, WAY_TONE, waySaid } from "./route-cell";
import { Now, WeekBadge } from "./standing";

export interface Actions {
  select: (key: string) => void;
  preview: (key: string) => void;
  open: (key: string) => void;
  request: (quota: Quota) => void;
  setLimit: (quota: Quota) => void;
}

const modelOf = (quota: Quota): string => quota.target?.target.value?.model ?? "";
const tint = (risk: Risk): string =>
  risk === Risk.AT_LIMIT || risk === Risk.OVER ? "bg-red-tint" : risk === Risk.APPROACHING ? "bg-amber-tint" : "";

/** Columns that a narrow page folds into the model's cell. */
const FOLDED = "max-[1210px]:hidden";
/** Narrower, a row is a block of two lines: name and level, then how it stands and what can be done. */
export const BLOCK = "max-[640px]:block";
const SELECTED = "bg-blue-tint max-[640px]:before:absolute max-[640px]:before:inset-y-0 max-[640px]:before:left-0 max-[640px]:before:w-0.5 max-[640px]:before:bg-blue";
/** Of the same width in every table, so that what is beneath each other on the page is of one sort; the model has the rest. */
export const CLASS: Record<string, string> = {
  status: "w-[112px] max-[640px]:order-3 max-[640px]:w-auto max-[640px]:basis-1/2 max-[640px]:pl-5.5",
  model: "max-[640px]:order-1 max-[640px]:basis-full",
  now: "w-[204px] max-[640px]:absolute max-[640px]:top-1.5 max-[640px]:right-0 max-[640px]:w-auto",
  left: `w-[52px] text-right ${FOLDED}`,
  limit: "w-[88px] text-right whitespace-nowrap max-[640px]:order-4 max-[640px]:ml-auto max-[640px]:w-auto",
  peak: `w-[148px] text-right whitespace-nowrap ${FOLDED}`,
  near: `w-[96px] text-right whitespace-nowrap ${FOLDED}`,
  turned: `w-[120px] text-right leading-4 ${FOLDED}`,
  route: `w-[136px] ${FOLDED}`,
  action: "w-[80px] text-right max-[640px]:order-5 max-[640px]:w-auto",
};

interface RowProps {
  quota: Quota;
  id: string;
  firing: Firing | undefined;
  /** Of each chain that it is in. */
  ways: readonly Way[] | undefined;
  isSelected: boolean;
  isLit: boolean;
  isOpen: boolean;
  edits: boolean;
  actions: Actions;
}

export const Row = memo(function Row({ quota, id, firing, ways, isSelected, isLit, isOpen, edits, actions }: RowProps) {
  const { limit, peak } = quota;
  const since = seconds(quota.knownSince);
  const turned = turnedAway(quota);
  // In a narrow window the level stands at the end of the line of the name.
  const isLong = count(quota.level).length + count(limit?.slots ?? 0).length > 6;
  const isAtRisk = WEEK_WORD[quota.week] !== "";
  return (
    <tr
      aria-selected={isSelected}
      data-row={id}
      onClick={(event) => {
        if (!(event.target instanceof Element) || event.target.closest("button,a")) return;
        actions.select(isSelected ? "" : id);
      }}
      onPointerEnter={() => actions.preview(id)}
      onPointerLeave={() => actions.preview("")}
      className={`h-9 cursor-pointer border-b max-[640px]:relative max-[640px]:flex max-[640px]:h-auto max-[640px]:flex-wrap max-[640px]:items-center max-[640px]:py-1.5 ${isSelected ? SELECTED : isLit ? "bg-raised" : tint(quota.risk)}`}
    >
      <td className={`px-2 first:pl-1 ${CLASS["status"]} ${isSelected ? "border-l-2 border-l-blue max-[640px]:border-l-0" : ""}`}>
        <Now quota={quota} />
      </td>
      <th scope="row" className={`px-2 text-left font-normal ${CLASS["model"]}`}>
        <span className={`flex min-w-0 flex-wrap items-center gap-x-2 pl-3.5 ${isLong ? "max-[640px]:pr-36" : "max-[640px]:pr-20"}`}>
          <button
            type="button"
            aria-expanded={isOpen}
            title={`${modelOf(quota)}${quota.inCatalogue ? "" : " (not in the catalogue)"}`}
            onClick={() => actions.open(isOpen ? "" : id)}
            onFocus={() => actions.preview(id)}
            onBlur={() => actions.preview("")}
            onKeyDown={(event) => {
              if (event.key !== " ") return;
              event.preventDefault();
              actions.select(isSelected ? "" : id);
            }}
            className="group/name -ml-3.5 flex max-w-full min-w-0 items-center gap-1.5 text-left leading-[18px] font-medium"
          >
            <span aria-hidden="true" className={`w-2 shrink-0 text-[9px] text-faint transition-transform ${isOpen ? "rotate-90" : ""}`}>
              ▶
            </span>
            <span className="truncate group-hover/name:underline">{nameOf(quota)}</span>
          </button>
          {(isAtRisk || firing) && (
            <span className="flex items-center gap-1">
              <WeekBadge week={quota.week} />
              {firing && <Bell firing={firing} name={nameOf(quota)} />}
            </span>
          )}
        </span>
        <span className="hidden pl-3.5 text-muted max-[1210px]:block">
          {limit && quota.covered ? `${left(quota, limit.slots)} · ` : ""}
          {peak ? (
            <>
              peak{since && ` since ${day(since)}:`} <Peak level={peak.level} bound={quota.peakBound} />, {moment(seconds(peak.at) ?? 0)}
            </>
          ) : (
            "no peak yet"
          )}
          {quota.minutesNearLimit > 0 && ` · ${minutesLong(quota.minutesNearLimit)} at ≥ 90 %`}
          {turned > 0 && ` · ${count(turned)} turned away: ${turnedWhy(quota)}`}
          {ways?.map((way) => (
            <span key={way.chain}>
              {" · "}
              <span className={WAY_TONE[way.tone]}>{waySaid(way)}</span>
            </span>
          ))}
        </span>
      </th>
      <td className={`px-2 ${CLASS["now"]}`}>
        <span className="flex items-center gap-3">
          <span className={`min-w-12 text-right font-medium ${quota.covered ? "" : "text-faint"}`} title={quota.silentLevel > 0 ? `${count(quota.silentLevel)} of them held by silent workers` : undefined}>
            {quota.covered ? <Peak level={quota.level} bound={quota.levelBound} /> : "—"}
            {limit && <span className="hidden font-normal text-muted max-[640px]:inline"> of {count(limit.slots)}</span>}
          </span>
          <span className="max-[640px]:hidden">
            <BarCell quota={quota} />
          </span>
        </span>
      </td>
      <td className={`px-2 ${CLASS["left"]} ${limit && quota.level > limit.slots ? "text-red" : ""}`}>{limit && quota.covered ? `${quota.levelBound === Bound.AT_LEAST ? "≤" : ""}${count(limit.slots - quota.level).replace("-", "−")}` : ""}</td>
      <td className={`px-2 ${CLASS["limit"]}`}>
        {limit ? (
          <>
            <span className="max-[640px]:hidden">{count(limit.slots)}</span>
            {quota.learnedCeiling !== undefined && (
              <span title={quota.learnedFrom} className="block text-[11px] leading-3 text-amber">
                allows {count(quota.learnedCeiling)}
              </span>
            )}
          </>
        ) : edits ? (
          <button type="button" className="text-blue hover:underline" aria-label={`Set a limit for ${nameOf(quota)}`} onClick={() => actions.setLimit(quota)}>
            Set a limit
          </button>
        ) : (
          <span className="text-muted">none</span>
        )}
      </td>
      <td className={`px-2 ${CLASS["peak"]}`}>
        {peak ? (
          <>
            <Peak level={peak.level} bound={quota.peakBound} />{" "}
            <span className="text-muted">
              · <When at={seconds(peak.at) ?? 0} />
            </span>
            {since && (
              <span title={`no data before ${moment(since)}`} className="block text-[11px] leading-3 text-muted">
                known since {day(since)}
              </span>
            )}
          </>
        ) : (
          <span className="text-muted">no data</span>
        )}
      </td>
      <td className={`px-2 ${CLASS["near"]} ${quota.minutesNearLimit > 0 ? "" : "text-muted"}`}>{limit ? minutesLong(quota.minutesNearLimit) : ""}</td>
      <td className={`px-2 ${CLASS["turned"]} ${turned > 0 ? "" : "text-muted"}`} title={turned > 0 ? heldAndTurned(quota) : undefined}>
        {turned > 0 ? <Turned quota={quota} /> : "0"}
      </td>
      <td className={`px-2 ${CLASS["route"]}`}>
        <RouteCell name={nameOf(quota)} ways={ways} />
      </td>
      <td className={`px-2 last:pr-1 ${CLASS["action"]}`}>
        <Button look="quiet" onClick={() => actions.request(quota)} aria-label={`Request more of ${nameOf(quota)}`}>
          Request
        </Button>
      </td>
    </tr>
  );
});

/** How many were turned away, and why. */
function Turned({ quota }: { quota: Quota }) {
  return turnedBy(quota).map(({ many, word }, nth) => (
    <Fragment key={word}>
      {nth > 0 && " · "}
      <span className="whitespace-nowrap">
        <span className="text-red">{count(many)}</span> <span className="text-muted">{word}</span>
      </span>
    </Fragment>
  ));
}

const left = (quota: Quota, slots: number): string =>
  quota.level > slots ? `${count(quota.level - slots)} over` : `${count(slots - quota.level)} left`;
