// The models of a chain in their order: put into another by drag, by buttons, and by Alt with the arrows.
import { create } from "@bufbuild/protobuf";
import { useRef, useState } from "react";

import { type Kind, type Meter, MeterSchema } from "../../../gen/highwater/v1/types_pb";
import { moved } from "../../../lib/chain-draft";
import { useLive } from "../../../lib/live";
import { useCatalogue, useNames } from "../../../lib/names";
import { KIND_NAME, isPool, kindOf, targetOfMeter } from "../../../lib/target";
import { meterKey } from "../../../lib/ways";
import { Button } from "../../../parts/button";

interface Props {
  project: string;
  kind: Kind;
  models: readonly Meter[];
  onChange: (models: Meter[]) => void;
  /** What is wrong, and with which of them. */
  problem: string;
  place: number | undefined;
  most: number;
}

export function Models({ project, kind, models, onChange, problem, place, most }: Props) {
  const live = useLive(project);
  const catalogue = useCatalogue();
  const nameOf = useNames(project);
  const list = useRef<HTMLOListElement>(null);
  const [dragged, setDragged] = useState<number>();
  const [told, setTold] = useState("");
  const [other, setOther] = useState("");
  const name = (meter: Meter | undefined) => nameOf(targetOfMeter(meter)) || meter?.model || "";
  const keys = new Set(models.map(meterKey));

  /** Puts one at another place, says so, and keeps the focus on it. */
  const move = (from: number, to: number, focus = true) => {
    if (to < 0 || to >= models.length || to === from) return;
    onChange(moved(models, from, to));
    setTold(`${name(models[from])} is at place ${to + 1} of ${models.length}${to === 0 ? ": the primary" : ""}.`);
    if (focus) requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-place="${to}"] [data-grip]`)?.focus());
  };
  const remove = (at: number) => {
    onChange(models.toSpliced(at, 1));
    setTold(`${name(models[at])} is no longer in it.`);
    requestAnimationFrame(() => (list.current?.querySelector<HTMLElement>(`[data-place="${Math.min(at, models.length - 2)}"] [data-grip]`) ?? list.current?.parentElement?.querySelector("select"))?.focus());
  };
  const add = (model: string, account = "") => {
    const meter = create(MeterSchema, { kind, model, account });
    if (!model || keys.has(meterKey(meter))) return;
    onChange([...models, meter]);
    setTold(`${name(meter)} is at place ${models.length + 1}.`);
  };

  /** While one is dragged, the place under the pointer is its own. */
  const over = (y: number) => {
    if (dragged === undefined) return;
    const rows = [...(list.current?.querySelectorAll<HTMLElement>("[data-place]") ?? [])];
    const to = rows.findIndex((row) => y < row.getBoundingClientRect().bottom);
    const at = to < 0 ? rows.length - 1 : to;
    if (at === dragged) return;
    move(dragged, at, false);
    setDragged(at);
  };

  const used = [...live.byKey.values()].flatMap(({ target }) => (kindOf(target) === kind && !isPool(target) && target?.target.case === "meter" ? [target.target.value] : []));
  const known = (catalogue.data ?? []).filter((model) => model.kind === kind);
  const offered = new Set<string>();
  const choices = (of: readonly Meter[]) =>
    of.flatMap((meter) => {
      const key = meterKey(meter);
      if (keys.has(key) || offered.has(key)) return [];
      offered.add(key);
      return [{ value: JSON.stringify([meter.model, meter.account]), name: name(meter) }];
    });
  const groups = [
    { label: "In use", of: choices(used) },
    { label: "In the catalogue", of: choices(known.map(({ model }) => create(MeterSchema, { kind, model }))) },
  ];
  return (
    <fieldset>
      <legend className="font-medium">Models, the primary first</legend>
      {models.length > 0 && (
        <ol
          ref={list}
          aria-label="Models of the chain"
          className="mt-1 border-b"
          onPointerMove={(event) => over(event.clientY)}
          onPointerUp={() => setDragged(undefined)}
          onPointerCancel={() => setDragged(undefined)}
        >
          {models.map((meter, at) => {
            const isWrong = place === at;
            return (
              <li
                key={meterKey(meter)}
                data-place={at}
                className={`flex min-h-9 items-center gap-2 border-t px-1 ${dragged === at ? "bg-blue-tint" : ""} ${isWrong ? "bg-red-tint" : ""}`}
                onKeyDown={(event) => {
                  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
                  if (!by || !(event.target instanceof Element) || !event.target.closest("[data-grip]")) return;
                  event.preventDefault();
                  move(at, at + by);
                }}
              >
                <button
                  type="button"
                  data-grip
                  aria-label={`Move ${name(meter)}: place ${at + 1} of ${models.length}`}
                  title="Drag, or press the arrows"
                  onPointerDown={(event) => {
                    if (event.button !== 0) return;
                    // The list hears of the pointer wherever it goes.
                    list.current?.setPointerCapture(event.pointerId);
                    setDragged(at);
                  }}
                  className="grid size-7 shrink-0 cursor-grab touch-none place-items-center rounded-[3px] text-faint hover:bg-raised hover:text-text"
                >
                  <svg aria-hidden="true" viewBox="0 0 8 14" className="h-3.5 fill-current">
                    {[2, 7, 12].map((y) => (
                      <g key={y}>
                        <circle cx={2} cy={y} r={1.1} />
                        <circle cx={6} cy={y} r={1.1} />
                      </g>
                    ))}
                  </svg>
                </button>
                <span className="w-4 text-right text-muted" aria-hidden="true">
                  {at + 1}
                </span>
                <span className="min-w-0 flex-1 py-1 wrap-anywhere">
                  {name(meter)} {at === 0 && <span className="text-muted">· primary</span>}
                  <span className="block text-[11px] leading-4 text-muted">{meter.model}</span>
                </span>
                <span className="flex shrink-0">
                  <Button look="quiet" aria-label={`Move ${name(meter)} up`} disabled={at === 0} onClick={() => move(at, at - 1)}>
                    ↑
                  </Button>
                  <Button look="quiet" aria-label={`Move ${name(meter)} down`} disabled={at === models.length - 1} onClick={() => move(at, at + 1)}>
                    ↓
                  </Button>
                  <Button look="quiet" aria-label={`Remove ${name(meter)}`} onClick={() => remove(at)}>
                    ✕
                  </Button>
                </span>
              </li>
            );
          })}
        </ol>
      )}
      {problem && (
        <p role="alert" className="mt-1 text-red">
          {place !== undefined && `${place + 1}: `}
          {problem}
        </p>
      )}
      {models.length < most && (
        <div className="mt-2 flex flex-wrap items-end gap-x-4 gap-y-2">
          <label className="block max-sm:w-full">
            <span className="sr-only">Add a model</span>
            <select
              value=""
              onChange={({ currentTarget: { value } }) => {
                if (!value) return;
                const [model = "", account = ""] = JSON.parse(value) as string[];
                add(model, account);
              }}
              className="h-8 w-full rounded-[4px] border bg-ground px-2 sm:w-72"
            >
              <option value="">{models.length === 0 ? `Add the primary: a model of ${KIND_NAME[kind]}` : "Add a fallback"}</option>
              {groups.map(
                ({ label, of }) =>
                  of.length > 0 && (
                    <optgroup key={label} label={label}>
                      {of.map((choice) => (
                        <option key={choice.value} value={choice.value}>
                          {choice.name}
                        </option>
                      ))}
                    </optgroup>
                  ),
              )}
            </select>
          </label>
          <span className="flex items-center gap-1 max-sm:w-full">
            <input
              aria-label="Another model, by its id"
              placeholder="or its id: provider/model"
              value={other}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => setOther(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || !other.trim()) return;
                event.preventDefault();
                add(other.trim());
                setOther("");
              }}
              className="h-8 w-52 min-w-0 flex-1 rounded-[4px] border bg-ground px-2 placeholder:text-muted"
            />
            <Button
              disabled={!other.trim()}
              onClick={() => {
                add(other.trim());
                setOther("");
              }}
            >
              Add
            </Button>
          </span>
        </div>
      )}
      <p role="status" className="sr-only">
        {told}
      </p>
    </fieldset>
  );
}
