import { useEffect, useRef, useState } from "react";

import { go, useAddress } from "../../lib/address";
import { useLive } from "../../lib/live";
import { useNames } from "../../lib/names";
import { targetOf } from "../../lib/target";
import { Button } from "../../parts/button";
import { Head } from "../../parts/page";
import { type Asked, RequestDialog } from "../../parts/request-dialog";
import { Choose, askedOf } from "./choose";
import { RequestList } from "./list";

/** Increase requests of the project: what is asked for, on what evidence, and what was decided. */
export default function Requests({ project }: { project: string }) {
  const { rest, select } = useAddress();
  const live = useLive(project);
  const nameOf = useNames(project);
  const open = rest["show"] !== "all";
  const [choosing, setChoosing] = useState(false);
  const [asked, setAsked] = useState<Asked>();
  // An address that names a meter or pool, as mails have it, asks for more of it, once its limit is known.
  const begun = useRef("");
  const isKnown = live.status !== "connecting";
  useEffect(() => {
    if (!select) begun.current = "";
    const target = targetOf(select);
    if (!target || !isKnown || begun.current === select) return;
    begun.current = select;
    setAsked(askedOf(live.byKey, target, nameOf(target)));
  }, [select, isKnown, live.byKey, nameOf]);
  const close = () => {
    setAsked(undefined);
    // Who comes back to the address later is not asked again.
    if (select) go({ select: "" }, { replace: true });
  };
  return (
    <>
      <Head title="Requests" lead="More capacity, asked for with what the last seven days say. An operator decides; an approval changes the limit.">
        <Toggle open={open} />
        <Button look="main" onClick={() => setChoosing(true)}>
          Request more
        </Button>
      </Head>
      <RequestList project={project} open={open} onAsk={() => setChoosing(true)} />
      {choosing && (
        <Choose
          project={project}
          onClose={() => setChoosing(false)}
          onChosen={(chosen) => {
            setChoosing(false);
            setAsked(chosen);
          }}
        />
      )}
      {asked && <RequestDialog project={project} asked={asked} onClose={close} />}
    </>
  );
}

/** Open ones, or the history too. */
export function Toggle({ open }: { open: boolean }) {
  const { rest } = useAddress();
  return (
    <div role="group" aria-label="Which requests" className="flex items-center rounded-[4px] border">
      {([["", "Open"], ["all", "All"]] as const).map(([value, text]) => (
        <button
          key={text}
          type="button"
          aria-pressed={open === (value === "")}
          onClick={() => go({ rest: { ...rest, show: value } })}
          className="h-6.5 px-2.5 text-muted hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text"
        >
          {text}
        </button>
      ))}
    </div>
  );
}
