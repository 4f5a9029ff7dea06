import { useEffect, useState } from "react";

import { hush, say, useSaid } from "../lib/said";
import { words } from "../lib/service";
import { Button } from "./button";

const SHOWN_FOR_MS = 8_000;

/** What happened last, at the foot of the page; it goes by itself, and stays while it is looked at. */
export function Saying() {
  const said = useSaid();
  const [held, setHeld] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!said || held) return;
    const timer = setTimeout(hush, SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [said, held]);
  const undo = async () => {
    setBusy(true);
    try {
      await said?.undo?.();
    } catch (error) {
      say(`It could not be undone. ${words(error)}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div
      role="status"
      aria-label="What happened"
      className="pointer-events-none fixed inset-x-3 bottom-3 z-50 flex justify-center"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      {said && (
        <div key={said.nth} className="pointer-events-auto flex max-w-[560px] items-center gap-3 rounded-[5px] border border-faint bg-ground py-1.5 pr-1.5 pl-3">
          <span className="wrap-anywhere">{said.text}</span>
          {said.undo && (
            <Button onClick={undo} disabled={busy}>
              Undo
            </Button>
          )}
          <Button look="quiet" aria-label="Dismiss" onClick={hush}>
            ✕
          </Button>
        </div>
      )}
    </div>
  );
}
