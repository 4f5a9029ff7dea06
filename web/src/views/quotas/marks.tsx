import { getCursor, setCursor } from "../../lib/cursor";
import { moment } from "../../lib/time";
import { type PlacedMark } from "./chart-marks";

/** Marks nearer than this, in pixels, are one to a pointer. */
const APART = 12;

/** What happened, over the marks that are drawn: what is looked at is read, as its minute is. */
export function Marks({ marks, section }: { marks: PlacedMark[]; section: string }) {
  const groups: PlacedMark[][] = [];
  for (const mark of marks.toSorted((a, b) => a.left - b.left)) {
    const last = groups.at(-1);
    if (last?.[0] && mark.left - last[0].left < APART) last.push(mark);
    else groups.push([mark]);
  }
  if (groups.length === 0) return null;
  return (
    <ul aria-label="What happened" className="absolute bottom-[22px] left-0 z-10">
      {groups.map((of) => {
        const { at = 0, left = 0 } = of[0] ?? {};
        const said = of.map((mark) => `${moment(mark.at)}: ${mark.text}`).join("\n");
        const minute = Math.floor(at / 60) * 60;
        return (
          <li key={minute} ref={(element) => void (element && (element.style.left = `${left - 7}px`))} className="absolute bottom-0">
            <button
              type="button"
              aria-label={said}
              title={said}
              onPointerMove={(event) => {
                event.stopPropagation();
                if (!getCursor().pinned) setCursor({ at: minute, section });
              }}
              onFocus={(event) => {
                event.stopPropagation();
                setCursor({ at: minute, section });
              }}
              onClick={(event) => {
                event.stopPropagation();
                setCursor({ at: minute, pinned: true, section });
              }}
              className="block h-3.5 w-3.5 cursor-help"
            />
          </li>
        );
      })}
    </ul>
  );
}
