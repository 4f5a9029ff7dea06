import { Code, ConnectError } from "@connectrpc/connect";
import { type ReactNode } from "react";

import { go } from "../lib/address";
import { useCaller } from "../lib/caller";
import { Button } from "./button";
import { Failed } from "./failed";

/** The head of a view: what it is, in a line, and what can be done. */
export function Head({ title, lead, children }: { title: string; lead?: ReactNode; children?: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 pt-5 pb-3">
      <div>
        <h1 className="text-[20px] leading-7 font-semibold">{title}</h1>
        {lead && <p className="max-w-[100ch] text-pretty text-muted">{lead}</p>}
      </div>
      {children && <div className="flex flex-wrap items-center gap-2">{children}</div>}
    </div>
  );
}

/** A part of a view under its own head. */
export function Part({ title, lead, children, actions }: { title: string; lead?: ReactNode; children: ReactNode; actions?: ReactNode }) {
  return (
    <section aria-label={title} className="pt-5">
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-1 pb-1">
        <div>
          <h2 className="text-[15px] font-semibold">{title}</h2>
          {lead && <p className="max-w-[100ch] text-pretty text-muted">{lead}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </section>
  );
}

/** What stands where there is nothing. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="rounded-[4px] border border-dashed px-4 py-6">
      <p className="font-medium">{title}</p>
      {children && <div className="mt-1 max-w-[68ch] text-muted">{children}</div>}
    </div>
  );
}

/** A part that could not be read. What the key does not open reads as what there is not. */
export function Unread({ what, project, error, retry }: { what: string; project: string; error: unknown; retry: () => void }) {
  const own = useCaller()?.project;
  if (ConnectError.from(error).code !== Code.NotFound) return <Failed what={what} error={error} retry={retry} />;
  return (
    <Empty title={`There is no project “${project}”, or your key does not open it.`}>
      <p>Nothing was reported for it and no limit was set in it, as far as your key can tell.</p>
      <div className="mt-3 flex flex-wrap gap-2">
        {own && own !== project && <Button onClick={() => go({ project: own, rest: {} })}>Open {own}</Button>}
        <Button onClick={retry}>Retry</Button>
      </div>
    </Empty>
  );
}
