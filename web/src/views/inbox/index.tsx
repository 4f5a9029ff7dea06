// The mails that the demo's own mail server took: a development aid. No mail leaves the machine.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { type InboxMail } from "../../gen/highwater/v1/demo_pb";
import { go, parse } from "../../lib/address";
import { demo } from "../../lib/demo";
import { showMail } from "../../lib/mail";
import { seconds } from "../../lib/target";
import { full } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { Failed } from "../../parts/failed";
import { Skeleton, SkeletonRows } from "../../parts/skeleton";
import { When } from "../../parts/when";

const READ_EVERY_MS = 3_000;

interface Props {
  /** The mail that is shown; empty for the newest. */
  shown: string;
  onShow: (id: string) => void;
  onClose: () => void;
}

export default function Inbox({ shown, onShow, onClose }: Props) {
  const { data, error, isPending, isError, refetch } = useQuery({ queryKey: ["mails"], queryFn: () => demo.listMails({}), refetchInterval: READ_EVERY_MS });
  const mails = data?.mails ?? [];
  const current = mails.find(({ id }) => String(id) === shown) ?? mails[0];
  return (
    <Dialog open huge onClose={onClose} title="Inbox" lead="Development aid: the demo's own mail server took these. No mail leaves this machine.">
      {isError && !data ? (
        <Failed what="The inbox" error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <SkeletonRows rows={4} />
      ) : !current ? (
        <p className="rounded-[4px] border border-dashed px-4 py-6">
          No mail yet. <span className="text-muted">Press Busy hour: within a minute a level nears its limit, and the first mail arrives here.</span>
        </p>
      ) : (
        <div className="grid grid-cols-[minmax(0,1fr)] gap-x-5 gap-y-4 md:grid-cols-[272px_minmax(0,1fr)]">
          <MailList mails={mails} current={current} onShow={onShow} />
          <Mail key={String(current.id)} mail={current} />
        </div>
      )}
      <div className="mt-4 flex justify-end">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function MailList({ mails, current, onShow }: { mails: InboxMail[]; current: InboxMail; onShow: (id: string) => void }) {
  return (
    <ol aria-label="Mails" className="max-h-48 overflow-auto border-y md:max-h-[min(72vh,780px)]">
      {mails.map((mail) => (
        <li key={String(mail.id)} className="border-b last:border-b-0">
          <button
            type="button"
            aria-current={mail === current ? "true" : undefined}
            onClick={() => onShow(String(mail.id))}
            className="block w-full border-l-2 border-transparent px-2 py-1.5 text-left hover:bg-raised aria-[current]:border-blue aria-[current]:bg-blue-tint"
          >
            <span className="line-clamp-2 font-medium wrap-anywhere">{mail.subject}</span>
            <span className="flex justify-between gap-3 text-muted">
              <span className="truncate">{mail.to.join(", ")}</span>
              <When at={seconds(mail.receiveTime) ?? 0} />
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}

const FORMS = [
  ["mail", "As it looks"],
  ["text", "As text"],
  ["source", "Source"],
] as const;

function Mail({ mail }: { mail: InboxMail }) {
  const [form, setForm] = useState<(typeof FORMS)[number][0]>("mail");
  const { data, error, isPending, isError, refetch } = useQuery({ queryKey: ["mail", String(mail.id)], queryFn: () => demo.getMail({ mailId: mail.id }), staleTime: Infinity });
  const size = "h-[min(60vh,680px)] w-full";
  return (
    <article aria-label={mail.subject} className="min-w-0">
      <h3 className="font-semibold wrap-anywhere">{mail.subject}</h3>
      <div className="mb-2 flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
        <p className="text-muted">
          To {mail.to.join(", ")} · {full(seconds(mail.receiveTime) ?? 0)}
        </p>
        <div role="group" aria-label="Show the mail" className="flex rounded-[4px] border">
          {FORMS.map(([key, name]) => (
            <button key={key} type="button" aria-pressed={form === key} onClick={() => setForm(key)} className="h-6.5 px-2.5 text-muted hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text">
              {name}
            </button>
          ))}
        </div>
      </div>
      {isError ? (
        <Failed what="The mail" error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <Skeleton className={size} />
      ) : form === "mail" && data.html ? (
        <Frame html={data.html} title={mail.subject} className={size} />
      ) : (
        <pre tabIndex={0} aria-label={form === "source" ? "Source of the mail" : "Text of the mail"} className={`${size} overflow-auto rounded-[4px] border bg-raised p-3 font-mono text-[12px] leading-[18px] ${form === "source" ? "" : "whitespace-pre-wrap"}`}>
          {form === "source" ? data.source : data.text}
        </pre>
      )}
    </article>
  );
}

/** A link of a mail that leads here is followed here; any other in a tab of its own. */
function follow(href: string): void {
  const to = new URL(href);
  if (to.origin === location.origin && /^\/(p\/|$|[a-z]+$)/.test(to.pathname)) {
    const { project, ...there } = parse(to.pathname, to.search);
    go({ ...there, ...(project && { project }) });
  } else {
    window.open(href, "_blank", "noopener,noreferrer");
  }
}

/** The mail in a frame that runs no script: its nodes are made by `lib/mail`, under the policy of the page. */
function Frame({ html, title, className }: { html: string; title: string; className: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const show = () => frame.current && showMail(frame.current, html, follow);
  // eslint-disable-next-line react-hooks/exhaustive-deps
  useEffect(() => void show(), [html]);
  return <iframe ref={frame} title={title} sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox" onLoad={show} className={`${className} rounded-[4px] border bg-white`} />;
}
