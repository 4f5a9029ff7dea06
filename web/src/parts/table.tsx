import { type ReactNode } from "react";

export interface Column<Row> {
  key: string;
  head: string;
  cell: (row: Row) => ReactNode;
  /** Numbers stand at the right. */
  end?: boolean;
  /** In a narrow window: the line that names the row, without its head. */
  names?: boolean;
  /** In a narrow window: short enough to share a line with another. */
  half?: boolean;
  className?: string;
}

interface Props<Row> {
  /** What the table is of, for who does not see it. */
  label: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** What stands open beneath a row. */
  beneath?: (row: Row) => ReactNode;
  tint?: (row: Row) => string;
}

const FOLD =
  "max-md:flex max-md:flex-wrap max-md:items-baseline max-md:justify-between max-md:gap-x-4 max-md:px-0 max-md:py-0.5 max-md:text-left max-md:before:text-muted max-md:before:content-[attr(data-head)]";
const NAME = "max-md:-order-1 max-md:block max-md:w-full max-md:px-0 max-md:pt-1 max-md:font-medium";

/** A table whose rows fold into blocks where the window is narrow: nothing is lost there. */
export function Table<Row>({ label, columns, rows, keyOf, beneath, tint }: Props<Row>) {
  return (
    <table aria-label={label} className="w-full border-collapse max-md:block">
      <thead className="max-md:sr-only">
        <tr className="border-b">
          {columns.map(({ key, head, end }) => (
            <th key={key} scope="col" className={`h-8 px-2 font-normal whitespace-nowrap text-muted first:pl-0 last:pr-0 ${end ? "pr-5 text-right" : "text-left"}`}>
              {head || <span className="sr-only">Actions</span>}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="max-md:block">
        {rows.map((row) => {
          const open = beneath?.(row);
          return [
            <tr key={keyOf(row)} className={`border-b max-md:grid max-md:grid-flow-dense max-md:grid-cols-2 max-md:gap-x-6 max-md:py-2 ${open ? "border-transparent" : ""} ${tint?.(row) ?? ""}`}>
              {columns.map(({ key, head, cell, end, names, half, className = "" }) => (
                <td
                  key={key}
                  data-head={names ? undefined : head}
                  className={`h-9 px-2 py-1 align-middle wrap-anywhere first:pl-0 last:pr-0 max-md:h-auto ${end ? "pr-5 text-right" : ""} ${half ? "" : "max-md:col-span-2"} ${names ? NAME : FOLD} ${className}`}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>,
            open && (
              <tr key={`${keyOf(row)} beneath`} className="border-b max-md:block">
                <td colSpan={columns.length} className="pb-4 max-md:block">
                  {open}
                </td>
              </tr>
            ),
          ];
        })}
      </tbody>
    </table>
  );
}
