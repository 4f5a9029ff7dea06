import { go } from "../lib/address";
import { type Firing } from "../lib/firing";

/** A bell where an alert fires: what, since when, and the way to it. */
export function Bell({ firing, name }: { firing: Firing; name: string }) {
  const said = `Alert of ${name}: ${firing.words}`;
  return (
    <button
      type="button"
      aria-label={said}
      title={said}
      onClick={() => go({ view: "alerts", select: "", filter: "", open: firing.episode, rest: {} })}
      className={`-my-px inline-grid size-5 shrink-0 align-middle place-items-center rounded-[3px] hover:bg-raised ${firing.tone === "red" ? "text-red" : "text-amber"}`}
    >
      <svg aria-hidden="true" viewBox="0 0 16 16" className="size-3.5 fill-current">
        <path d="M8 1.5a1 1 0 0 0-1 1v.4A4.2 4.2 0 0 0 3.8 7v2.6L2.5 11.7v.8h11v-.8l-1.3-2.1V7A4.2 4.2 0 0 0 9 2.9v-.4a1 1 0 0 0-1-1ZM6.4 13.4a1.6 1.6 0 0 0 3.2 0Z" />
      </svg>
    </button>
  );
}
