// The table of a section: its rows stand by the worse of now and the week, and never move under the pointer or the focus.
import { type SortingState, createColumnHelper, flexRender, getCoreRowModel, getSortedRowModel, useReactTable } from "@tanstack/react-table";
import { type ReactNode, useMemo, useRef, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Risk } from "../../gen/highwater/v1/types_pb";
import { seconds, targetKey, turnedAway, weight } from "../../lib/target";
import { count, minutesLong, moment } from "../../lib/time";
import { Button } from "../../parts/button";
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

/** Columns that a narrow page folds into the model's cell. */
const FOLDED = "max-[900px]:hidden";
const CLASS: Record<string, string> = {
  status: "w-[104px]",
  model: "min-w-[180px]",
  now: "w-[200px]",
  left: `w-[56px] text-right ${FOLDED}`,
  limit: "w-[64px] text-right",
  peak: `w-[136px] text-right ${FOLDED}`,
  near: `w-[104px] text-right ${FOLDED}`,
  turned: `w-[92px] text-right ${FOLDED}`,
  route: `w-[64px] ${FOLDED}`,
  action: "w-[88px] text-right",
};

export function QuotaTable({ label, quotas, selected, preview, opened, stale, edits, actions, detail }: Props) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const held = useRef<string[]>([]);
  const [isHeld, setHeld] = useState(false);
  const columns = useMemo(
    () => [
      column.accessor(weight, { id: "status", header: "Status", sortDescFirst: true }),
      column.accessor((quota) => quota.displayName.toLowerCase(), { id: "model", header: "Model" }),
      column.accessor("level", { id: "now", header: "Now" }),
      column.accessor((quota) => (quota.limit ? quota.limit.slots - quota.level : Number.MAX_SAFE_INTEGER), { id: "left", header: "Left" }),
      column.accessor((quota) => quota.limit?.slots ?? -1, { id: "limit", header: "Limit" }),
      column.accessor((quota) => quota.peak?.level ?? -1, { id: "peak", header: "7-day peak" }),
      column.accessor("minutesNearLimit", { id: "near", header: "At ≥ 90 %" }),
      column.accessor(turnedAway, { id: "turned", header: "Turned away" }),
      column.accessor(() => 0, { id: "route", header: "Route", enableSorting: false }),
      column.accessor(() => 0, { id: "action", header: "Action", enableSorting: false }),
    ],
    [],
  );
  // Where nothing else is asked for, the worst first; held as it is while somebody is at it.
  const ordered = useMemo(() => {
    const byWeight = quotas.toSorted((a, b) => weight(b) - weight(a) || a.displayName.localeCompare(b.displayName));
    if (!isHeld || held.current.length === 0) {
      held.current = byWeight.map((quota) => targetKey(quota.target));
      return byWeight;
    }
    const place = new Map(held.current.map((key, nth) => [key, nth]));
    return byWeight.toSorted(
      (a, b) => (place.get(targetKey(a.target)) ?? 1e9) - (place.get(targetKey(b.target)) ?? 1e9),
    );
  }, [quotas, isHeld]);
  const table = useReactTable({
    data: ordered,
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    getRowId: (quota) => targetKey(quota.target),
  });
  return (
    <div
      className="overflow-x-auto"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={(event) => setHeld(event.currentTarget.contains(document.activeElement))}
      onFocus={() => setHeld(true)}
      onBlur={(event) => setHeld(event.currentTarget.matches(":hover"))}
    >
      <table aria-label={label} className={`w-full border-collapse ${stale ? "opacity-60" : ""}`}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} className="border-b">
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const name = flexRender(header.column.columnDef.header, header.getContext());
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined}
                    className={`h-7 px-2 text-left font-normal text-muted first:pl-0 last:pr-0 ${CLASS[header.id]}`}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" className="hover:text-text" onClick={header.column.getToggleSortingHandler()}>
                        {name}
                        <span aria-hidden="true">{sorted === "asc" ? " ↑" : sorted === "desc" ? " ↓" : ""}</span>
                      </button>
                    ) : (
                      name
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        {table.getRowModel().rows.map((row) => {
          const quota = row.original;
          const key = row.id;
          const isOpen = opened === key;
          return (
            <tbody key={key}>
              <tr
                aria-selected={selected === key}
                data-row={key}
                onClick={(event) => {
                  if (!(event.target instanceof Element) || event.target.closest("button,a")) return;
                  actions.select(selected === key ? "" : key);
                }}
                onPointerEnter={() => actions.preview(key)}
                onPointerLeave={() => actions.preview("")}
                className={`h-9 cursor-pointer border-b ${selected === key ? "bg-blue-tint" : preview === key ? "bg-raised" : tint(quota.risk)}`}
              >
                <td className={`px-2 first:pl-1 ${CLASS["status"]} ${selected === key ? "shadow-[inset_2px_0_0_var(--blue)]" : ""}`}>
                  <Now quota={quota} />
                </td>
                <th scope="row" className={`max-w-[320px] px-2 text-left font-normal ${CLASS["model"]}`}>
                  <span className="flex min-w-0 items-center gap-2">
                    <button
                      type="button"
                      aria-expanded={isOpen}
                      title={`${modelOf(quota)}${quota.inCatalogue ? "" : " (not in the catalogue)"}`}
                      onClick={() => actions.open(isOpen ? "" : key)}
                      className="min-w-0 truncate text-left font-medium hover:underline"
                    >
                      {quota.displayName || modelOf(quota)}
                    </button>
                    <WeekBadge week={quota.week} />
                  </span>
                  <span className="hidden text-muted max-[900px]:block">
                    {quota.limit ? `${Math.max(quota.limit.slots - quota.level, 0)} left · ` : ""}
                    {quota.peak ? `peak ${quota.peak.level}, ${moment(seconds(quota.peak.at) ?? 0)}` : "no peak yet"}
                    {quota.minutesNearLimit > 0 && ` · ${minutesLong(quota.minutesNearLimit)} at ≥ 90 %`}
                    {turnedAway(quota) > 0 && ` · ${count(turnedAway(quota))} turned away`}
                  </span>
                </th>
                <td className={`px-2 ${CLASS["now"]}`}>
                  <span className="flex items-center gap-3">
                    <span className={`w-12 text-right font-medium ${quota.covered ? "" : "text-faint"}`}>{quota.covered ? count(quota.level) : "—"}</span>
                    <span className="max-[560px]:hidden">
                      <BarCell quota={quota} />
                    </span>
                  </span>
                </td>
                <td className={`px-2 ${CLASS["left"]}`}>{quota.limit && quota.covered ? count(quota.limit.slots - quota.level) : ""}</td>
                <td className={`px-2 ${CLASS["limit"]}`}>
                  {quota.limit ? (
                    count(quota.limit.slots)
                  ) : edits ? (
                    <button type="button" className="text-blue hover:underline" onClick={() => actions.setLimit(quota)}>
                      Set a limit
                    </button>
                  ) : (
                    <span className="text-faint">none</span>
                  )}
                </td>
                <td className={`px-2 ${CLASS["peak"]}`}>
                  {quota.peak ? (
                    <>
                      {count(quota.peak.level)} <span className="text-muted">· <When at={seconds(quota.peak.at) ?? 0} /></span>
                    </>
                  ) : (
                    <span className="text-faint">no data</span>
                  )}
                </td>
                <td className={`px-2 ${CLASS["near"]}`}>{quota.limit ? minutesLong(quota.minutesNearLimit) : ""}</td>
                <td className={`px-2 ${CLASS["turned"]} ${turnedAway(quota) > 0 ? "text-red" : "text-faint"}`}>{count(turnedAway(quota))}</td>
                <td className={`px-2 text-faint ${CLASS["route"]}`}>—</td>
                <td className={`px-2 last:pr-1 ${CLASS["action"]}`}>
                  <Button look="quiet" onClick={() => actions.request(quota)} aria-label={`Request more of ${quota.displayName}`}>
                    Request
                  </Button>
                </td>
              </tr>
              {isOpen && (
                <tr className="border-b">
                  <td colSpan={columns.length} className="p-0">
                    {detail(quota)}
                  </td>
                </tr>
              )}
            </tbody>
          );
        })}
      </table>
    </div>
  );
}
