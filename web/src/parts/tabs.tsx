import { go, useAddress } from "../lib/address";

export interface Tab {
  /** As the address spells it; empty for the first. */
  key: string;
  name: string;
}

/** The rooms of a view, each with an address of its own. */
export function Tabs({ label, tabs, current }: { label: string; tabs: readonly Tab[]; current: string }) {
  const { project, view } = useAddress();
  return (
    <nav aria-label={label} className="flex flex-wrap gap-x-4 border-b">
      {tabs.map(({ key, name }) => (
        <a
          key={key}
          href={`/p/${encodeURIComponent(project)}/${view}${key ? `?tab=${key}` : ""}`}
          aria-current={key === current ? "page" : undefined}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            go({ select: "", open: "", rest: key ? { tab: key } : {} });
          }}
          className="-mb-px inline-flex h-8 items-center border-b-2 border-transparent text-muted hover:text-text aria-[current]:border-text aria-[current]:text-text"
        >
          {name}
        </a>
      ))}
    </nav>
  );
}
