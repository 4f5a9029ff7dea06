import { useMutation, useQueryClient } from "@tanstack/react-query";

import { say } from "../../lib/said";
import { demo, words } from "../../lib/service";
import { useCaller } from "../../lib/caller";
import { Button } from "../../parts/button";

/** What a demo can be made to do, through the real engine; and that it is one. */
export default function DemoBar() {
  const caller = useCaller();
  const client = useQueryClient();
  const done = ({ sentence }: { sentence: string }) => {
    say(sentence);
    void client.invalidateQueries({ queryKey: ["sessions"] });
  };
  const failed = (error: unknown) => say(`That did not work. ${words(error)}`);
  const busy = useMutation({ mutationFn: () => demo.startBusyHour({}), onSuccess: done, onError: failed });
  const kill = useMutation({ mutationFn: () => demo.killWorker({}), onSuccess: done, onError: failed });
  return (
    <aside aria-label="Demo" className="border-b bg-raised">
      <div className="mx-auto flex min-h-9 max-w-[1392px] flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1 min-[1392px]:px-8">
        <strong className="rounded-[3px] border border-faint px-1.5 text-[11px] leading-[18px] font-semibold tracking-wide uppercase">Simulation</strong>
        <span className="text-muted max-sm:w-full max-sm:order-last">A made-up fleet of voice agents, counted by the real engine.</span>
        {caller?.edits && (
          <span className="ml-auto flex gap-2">
            <Button disabled={busy.isPending} onClick={() => busy.mutate()} title="More calls for ten minutes: levels rise to their limits and above">
              Busy hour
            </Button>
            <Button disabled={kill.isPending} onClick={() => kill.mutate()} title="Cut one worker off, as a crash would: its sessions are silent, and then lost">
              Kill a worker
            </Button>
          </span>
        )}
      </div>
    </aside>
  );
}
