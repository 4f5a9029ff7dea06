import { type ReactNode } from "react";

import { go, useAddress } from "../lib/address";

/** A state that leads to a room of the settings. */
export function Chip({ room, label, title, className = "", children }: { room: string; label: string; title?: string; className?: string; children: ReactNode }) {
  const { project } = useAddress();
  return (
    <a
      href={`/p/${encodeURIComponent(project)}/settings?tab=${room}`}
      aria-label={label}
      title={title}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        go({ view: "settings", select: "", open: "", filter: "", rest: { tab: room } });
      }}
      className={`hover:underline ${className}`}
    >
      {children}
    </a>
  );
}
