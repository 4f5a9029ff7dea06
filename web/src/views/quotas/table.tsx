// The table of a section: its rows stand by the worse of now and the week, and never move under the pointer or the focus.
import { type SortingState, createColumnHelper, flexRender, getCoreRowModel, getSortedRowModel, useReactTable } from "@tanstack/react-table";
import { type KeyboardEvent, type ReactNode, memo, useMemo, useRef, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Bound, Risk } from "../../gen/highwater/v1/types_pb";
import { type Firing, useFiringByKey } from "../../lib/firing";
import { steady } from "../../lib/order";
import { heldAndTurned, nameOf, seconds, targetKey, turnedAway, turnedBy, turnedWhy, weight, WEEK_WORD } from "../../lib/target";
import { count, day, minutesLong, moment } from "../../lib/time";
import { Bell } from "../../parts/bell";
import { Button } from "../../parts/button";
import { Peak } from "../../parts/peak";
import { When } from "../../parts/when";
import { BarCell } from "./bar-cell";
import { Now, WeekBadge } from "./standing";

export interface Actions {
  select: (key: string) => void;
  preview: (key: string) => void;
  open: (key: string) => void;
  request: (quota: Quota) => void;
  setLimit: (quota: Quota) => void;
}

interface Props {
  label: string;
  quotas: Quota[];
  selected: string;
  preview: string;
  opened: string;
  /** Levels are not known to be of now. */
  stale: boolean;
  edits: boolean;
  actions: Actions;
  detail: (quota: Quota) => ReactNode;
}

const column = createColumnHelper<Quota>();
const modelOf = (quota: Quota): string => quota.target?.target.value?.model ?? "";
const tint = (risk: Risk): string =>
  risk === Risk.AT_LIMIT || risk === Risk.OVER ? "bg-red-tint" : risk === Risk.APPROACHING ? "bg-amber-tint" : "";

/** Rows that are shown at once: those at risk come first, so that none of them is among the rest. */
const FIRST_ROWS = 12;

/** Columns that a narrow page folds into the model's cell. */
const FOLDED = "max-[1210px]:hidden";
/** Narrower, a row is a block of two lines: name and level, then how it stands and what can be done. */
const BLOCK = "max-[640px]:block";
const SELECTED = "bg-blue-tint max-[640px]:before:absolute max-[640px]:before:inset-y-0 max-[640px]:before:left-0 max-[640px]:before:w-0.5 max-[640px]:before:bg-blue";
/** Of the same width in every table, so that what is beneath each other on the page is of one sort; the model has the rest. */
const CLASS: Record<string, string> = {
  status: "w-[112px] max-[640px]:order-3 max-[640px]:w-auto max-[640px]:basis-1/2 max-[640px]:pl-5.5",
  model: "max-[640px]:order-1 max-[640px]:basis-full",
  now: "w-[204px] max-[640px]:absolute max-[640px]:top-1.5 max-[640px]:right-0 max-[640px]:w-auto",
  left: `w-[52px] text-right ${FOLDED}`,
  limit: "w-[88px] text-right whitespace-nowrap max-[640px]:order-4 max-[640px]:ml-auto max-[640px]:w-auto",
  peak: `w-[148px] text-right whitespace-nowrap ${FOLDED}`,
  near: `w-[96px] text-right whitespace-nowrap ${FOLDED}`,
  turned: `w-[120px] text-right leading-4 ${FOLDED}`,
  route: `w-[52px] ${FOLDED}`,
  action: "w-[80px] text-right max-[640px]:order-5 max-[640px]:w-auto",
};

const COLUMNS = [
  column.accessor(weight, { id: "status", header: "Status", sortDescFirst: true }),
  column.accessor((quota) => nameOf(quota).toLowerCase(), { id: "model", header: "Model" }),
  column.accessor("level", { id: "now", header: "Now" }),
  column.accessor((quota) => (quota.limit ? quota.limit.slots - quota.level : Number.MAX_SAFE_INTEGER), { id: "left", header: "Left", sortDescFirst: false }),
  column.accessor((quota) => quota.limit?.slots ?? -1, { id: "limit", header: "Limit" }),
  column.accessor((quota) => quota.peak?.level ?? -1, { id: "peak", header: "7-day peak" }),
  column.accessor("minutesNearLimit", { id: "near", header: "At ≥ 90 %" }),
  column.accessor(turnedAway, { id: "turned", header: "Turned away" }),
  column.accessor(() => 0, { id: "route", header: "Route", enableSorting: false }),
  column.accessor(() => 0, { id: "action", header: "Action", enableSorting: false }),
];
/** What a narrow table can stand by; its status it stands by anyway. */
const SORTS = [
  { id: "model", header: "Model" },
  { id: "now", header: "Now" },
  { id: "left", header: "Left" },
  { id: "limit", header: "Limit" },
  { id: "peak", header: "7-day peak" },
  { id: "near", header: "At ≥ 90 %" },
  { id: "turned", header: "Turned away" },
];
/** What stands with the lowest first. */
const ASCENDING: ReadonlySet<string> = new Set(["model", "left"]);
const core = getCoreRowModel<Quota>();
const sorted = getSortedRowModel<Quota>();
const idOf = (quota: Quota): string => targetKey(quota.target);

export function QuotaTable({ label, quotas, selected, preview, opened, stale, edits, actions, detail }: Props) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const [isHeld, setHeld] = useState(false);
  const [all, setAll] = useState(false);
  const firing = useFiringByKey();
  const standing = useRef<string[]>([]);
  // Where nothing else is asked for, the worst first.
  const data = useMemo(() => quotas.toSorted((a, b) => weight(b) - weight(a) || nameOf(a).localeCompare(nameOf(b))), [quotas]);
  const table = useReactTable({
    data,
    columns: COLUMNS,
    state: { sorting },
    onSortingChange: (next) => {
      standing.current = [];
      setSorting(next);
    },
    getCoreRowModel: core,
    getSortedRowModel: sorted,
    getRowId: idOf,
  });
  const rows = new Map(table.getRowModel().rows.map((row) => [row.id, row.original]));
  const order = steady(standing.current, [...rows.keys()], isHeld);
  standing.current = order;
  // A few more than fit are not worth a button.
  const shown = all || order.length <= FIRST_ROWS + 3 ? order : order.filter((key, nth) => nth < FIRST_ROWS || key === opened || key === selected);
  // What rows do never changes for them, so that they are drawn anew only when they do.
  const latest = useRef(actions);
  latest.current = actions;
  const doing = useMemo<Actions>(
    () => ({
      select: (key) => latest.current.select(key),
      preview: (key) => latest.current.preview(key),
      open: (key) => latest.current.open(key),
      request: (quota) => latest.current.request(quota),
      setLimit: (quota) => latest.current.setLimit(quota),
    }),
    [],
  );
  const onKey = (event: KeyboardEvent<HTMLElement>) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !(event.target instanceof Element) || !event.target.closest("[data-row]")) return;
    const names = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-row] th button")];
    const at = names.findIndex((name) => name.closest("[data-row]") === (event.target as Element).closest("[data-row]"));
    names[at + by]?.focus();
    event.preventDefault();
  };
  return (
    <div
      className="overflow-x-auto"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={(event) => setHeld(event.currentTarget.contains(document.activeElement))}
      onFocus={() => setHeld(true)}
      onBlur={(event) => setHeld(event.currentTarget.matches(":hover"))}
      onKeyDown={onKey}
    >
      <SortBy label={label} sorting={sorting} onSort={table.setSorting} />
      <table aria-label={label} className={`w-full table-fixed border-collapse ${BLOCK} ${stale ? "text-muted opacity-70 grayscale" : ""}`}>
        <thead className="max-[640px]:sr-only">
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} className="border-b">
              {group.headers.map((header) => {
                const by = header.column.getIsSorted();
                const head = flexRender(header.column.columnDef.header, header.getContext());
                // Over its numbers, which the bars follow.
                const name = header.id === "now" ? <span className="inline-block min-w-12 text-right">{head}</span> : head;
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={by === "asc" ? "ascending" : by === "desc" ? "descending" : undefined}
                    className={`h-7 px-2 text-left font-normal text-muted first:pl-1 last:pr-1 ${CLASS[header.id]}`}
                  >
                    {header.column.getCanSort() ? (
                      <>
                        <button type="button" className="hover:text-text max-[640px]:hidden" onClick={header.column.getToggleSortingHandler()}>
                          {name}
                          <span aria-hidden="true">{by === "asc" ? " ↑" : by === "desc" ? " ↓" : ""}</span>
                        </button>
                        <span className="hidden max-[640px]:inline">{name}</span>
                      </>
                    ) : (
                      name
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        {shown.map((key) => {
          const quota = rows.get(key);
          if (!quota) return null;
          return (
            <tbody key={key} className={BLOCK}>
              <Row quota={quota} id={key} firing={firing.get(key)} isSelected={selected === key} isLit={preview === key} isOpen={opened === key} edits={edits} actions={doing} />
              {opened === key && (
                <tr className={`border-b ${BLOCK}`}>
                  <td className={`p-0 ${BLOCK}`} colSpan={COLUMNS.length}>
                    {detail(quota)}
                  </td>
                </tr>
              )}
            </tbody>
          );
        })}
      </table>
      {shown.length < order.length && (
        <Button look="quiet" className="my-1" onClick={() => setAll(true)}>
          Show {count(order.length - shown.length)} more
        </Button>
      )}
    </div>
  );
}

/** In a narrow window, where no heads of columns are seen: what the rows stand by. */
function SortBy({ label, sorting, onSort }: { label: string; sorting: SortingState; onSort: (next: SortingState) => void }) {
  const [by] = sorting;
  return (
    <div className="hidden items-center gap-2 py-1 text-muted max-[640px]:flex">
      <label className="flex items-center gap-2">
        Sort by
        <select
          aria-label={`Sort ${label} by`}
          value={by?.id ?? ""}
          onChange={({ currentTarget: { value } }) => onSort(value ? [{ id: value, desc: !ASCENDING.has(value) }] : [])}
          className="h-8 rounded-[4px] border bg-ground px-2 text-text"
        >
          <option value="">Worst first</option>
          {SORTS.map(({ id, header }) => (
            <option key={id} value={id}>
              {header}
            </option>
          ))}
        </select>
      </label>
      {by && (
        <Button look="quiet" aria-label={by.desc ? "Highest first: turn the order" : "Lowest first: turn the order"} onClick={() => onSort([{ ...by, desc: !by.desc }])}>
          <span aria-hidden="true">{by.desc ? "↓" : "↑"}</span>
        </Button>
      )}
    </div>
  );
}

interface RowProps {
  quota: Quota;
  id: string;
  firing: Firing | undefined;
  isSelected: boolean;
  isLit: boolean;
  isOpen: boolean;
  edits: boolean;
  actions: Actions;
}

const Row = memo(function Row({ quota, id, firing, isSelected, isLit, isOpen, edits, actions }: RowProps) {
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
          <span className="max-[640px]:hidden">{count(limit.slots)}</span>
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
      <td className={`px-2 text-muted ${CLASS["route"]}`}>
        <span aria-hidden="true">—</span>
        <span className="sr-only">no route</span>
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
    <span key={word} className="whitespace-nowrap">
      {nth > 0 && " · "}
      <span className="text-red">{count(many)}</span> <span className="text-muted">{word}</span>
    </span>
  ));
}

const left = (quota: Quota, slots: number): string =>
  quota.level > slots ? `${count(quota.level - slots)} over` : `${count(slots - quota.level)} left`;
