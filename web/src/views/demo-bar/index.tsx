import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { say } from "../../lib/said";
import { go, useAddress } from "../../lib/address";
import { demo } from "../../lib/demo";
import { words } from "../../lib/service";
import { useCaller } from "../../lib/caller";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { part } from "../../parts/part";

const Inbox = part("The inbox", () => import("../inbox").then((of) => of.default));
const MAILS_EVERY_MS = 5_000;
/** What the address says of the inbox when no mail is chosen. */
const OPEN = "open";

/** What a demo can be made to do, through the real engine; and that it is one. */
export default function DemoBar() {
  const caller = useCaller();
  const client = useQueryClient();
  const { rest } = useAddress();
  const shown = rest["inbox"] ?? "";
  const show = (inbox: string) => go({ rest: { ...rest, inbox } }, { replace: shown !== "" });
  // A binary of another make may have no inbox: then there is no button for it.
  const mails = useQuery({ queryKey: ["mails"], queryFn: () => demo.listMails({}), refetchInterval: (query) => (query.state.status === "error" ? false : MAILS_EVERY_MS), retry: false });
  const done = ({ sentence }: { sentence: string }) => {
    say(sentence);
    void client.invalidateQueries({ queryKey: ["sessions"] });
  };
  const failed = (error: unknown) => say(`That did not work. ${words(error)}`);
  const busy = useMutation({ mutationFn: () => demo.startBusyHour({}), onSuccess: done, onError: failed });
  const fail = useMutation({ mutationFn: () => demo.failProvider({}), onSuccess: done, onError: failed });
  const kill = useMutation({ mutationFn: () => demo.killWorker({}), onSuccess: done, onError: failed });
  return (
    <aside aria-label="Demo" className="border-b bg-raised">
      <div className="mx-auto flex min-h-9 max-w-[1392px] flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1 min-[1392px]:px-8">
        <strong className="shrink-0 self-start rounded-[3px] min-[640px]:self-auto border border-faint px-1.5 text-[11px] leading-[18px] font-semibold tracking-wide uppercase">Simulation</strong>
        <span className="min-w-0 text-muted max-sm:flex-1 max-sm:basis-48">A made-up fleet of voice agents, counted by the real engine.</span>
        <span className="ml-auto flex flex-wrap gap-2 max-sm:w-full">
          {mails.data && (
            <Button title="The mails that alerts sent: a development aid, none of them leaves this machine" onClick={() => show(OPEN)}>
              Inbox <span className="text-muted">{count(mails.data.mails.length)}</span>
            </Button>
          )}
          {caller?.edits && (
            <>
              <Button disabled={busy.isPending} onClick={() => busy.mutate()} title="More calls for ten minutes: models fill, new sessions go to their fallbacks, and levels rise to the limits and above">
                Busy hour
              </Button>
              <Button disabled={fail.isPending} onClick={() => fail.mutate()} title="ElevenLabs fails for a minute and a half: new sessions go to the fallback, and return">
                Fail a provider
              </Button>
              <Button disabled={kill.isPending} onClick={() => kill.mutate()} title="Cut one worker off, as a crash would: its sessions are silent, and then lost">
                Kill a worker
              </Button>
            </>
          )}
        </span>
      </div>
      {shown && <Inbox shown={shown} onShow={show} onClose={() => show("")} />}
    </aside>
  );
}
