// The table of a section: its rows stand by the worse of now and the week, and never move under the pointer or the focus.
import { type SortingState, createColumnHelper, flexRender, getCoreRowModel, getSortedRowModel, useReactTable } from "@tanstack/react-table";
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { useFiringByKey } from "../../lib/firing";
import { steady } from "../../lib/order";
import { useWays } from "../../lib/routes";
import { nameOf, targetKey, turnedAway, weight } from "../../lib/target";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { type Actions, BLOCK, CLASS, Row } from "./row";

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
/** Rows that are shown at once: those at risk come first, so that none of them is among the rest. */
const FIRST_ROWS = 12;

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
  const ways = useWays();
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
              <Row quota={quota} id={key} firing={firing.get(key)} ways={ways.get(key)} isSelected={selected === key} isLit={preview === key} isOpen={opened === key} edits={edits} actions={doing} />
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
