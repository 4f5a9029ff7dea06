import { type RefObject, useRef } from "react";
import type uPlot from "uplot";

import { MOST_SLOTS } from "../../lib/slots";

/** The limit of the selected line, to be dragged by its grip at the line's end; a click elsewhere is the chart's. */
export function Handle(of: {
  top: number;
  gutter: number;
  slots: number;
  name: string;
  plot: RefObject<uPlot | null>;
  onMove: (slots: number | null) => void;
}) {
  const dragging = useRef(false);
  const level = (event: { clientY: number }) => {
    const made = of.plot.current;
    if (!made) return of.slots;
    return Math.max(0, Math.round(made.posToVal(event.clientY - made.over.getBoundingClientRect().top, "y")));
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={`Limit of ${of.name}: drag to see what another would have meant`}
      aria-valuenow={of.slots}
      aria-valuemin={0}
      aria-valuemax={MOST_SLOTS}
      aria-orientation="vertical"
      ref={(element) => {
        if (!element) return;
        element.style.top = `${of.top - 12}px`;
        element.style.right = `${of.gutter}px`;
      }}
      className="group absolute z-20 grid h-6 w-8 cursor-ns-resize touch-none place-items-center outline-none"
      onPointerDown={(event) => {
        event.stopPropagation();
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus();
        dragging.current = true;
      }}
      onPointerMove={(event) => {
        if (!dragging.current) return;
        event.stopPropagation();
        of.onMove(level(event));
      }}
      onPointerUp={() => (dragging.current = false)}
      onMouseDown={(event) => event.stopPropagation()}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => {
        const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
        if (event.key === "Escape") of.onMove(null);
        else if (by) of.onMove(Math.max(0, of.slots + by));
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <span
        aria-hidden="true"
        className="grid h-4 w-6 place-items-center rounded-[3px] border border-blue bg-ground text-[9px] leading-none text-blue group-hover:bg-blue-tint group-focus-visible:outline-2 group-focus-visible:outline-offset-1 group-focus-visible:outline-blue"
      >
        ⇕
      </span>
    </div>
  );
}
