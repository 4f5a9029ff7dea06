// Chains, pins and drains: read and changed, with a way back.
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type Chain, ChainService, type Override, Override_Action } from "../gen/highwater/v1/chain_pb";
import { type Meter } from "../gen/highwater/v1/types_pb";
import { type Draft, requestOf, requestOfChain } from "./chain-draft";
import { say } from "./said";
import { client, words } from "./service";

const EVERY_MS = 30_000;
const UNDONE = "undone on the page";

const service = client(ChainService);

export const useChains = (project: string, enabled = true) =>
  useQuery({
    queryKey: ["chains", project],
    // A project has 100 at the most.
    queryFn: async () => (await service.listChains({ project, pageSize: 1_000 })).chains,
    refetchInterval: EVERY_MS,
    retry: false,
    enabled,
  });

export interface Said {
  chain: string;
  model: Meter;
  /** What the model is called. */
  name: string;
  action: Override_Action;
  endTime: Timestamp;
  reason: string;
}

const DONE: Record<Override_Action, string> = {
  [Override_Action.UNSPECIFIED]: "",
  [Override_Action.PIN]: "pinned",
  [Override_Action.DRAIN]: "drained",
};

export function useChainChanges(project: string) {
  const queries = useQueryClient();
  const changed = () => {
    for (const of of ["chains", "audit"]) void queries.invalidateQueries({ queryKey: [of, project] });
  };
  /** What was said by hand comes back, as far as its time has not passed. */
  const sayAgain = async (said: readonly Override[]): Promise<void> => {
    for (const { chain, model, action, endTime, reason } of said) {
      if (model && endTime && timestampMs(endTime) > Date.now()) await service.setOverride({ project, chain, model, action, endTime, reason });
    }
  };
  const undo = (back: () => Promise<unknown>, done: string) => async () => {
    await back();
    changed();
    say(done);
  };

  const set = useMutation({
    mutationFn: ({ draft, reason }: { draft: Draft; reason: string }) => service.setChain({ project, ...requestOf(draft), reason }),
    onSuccess: ({ chain, before, ended }) => {
      changed();
      const name = chain?.name ?? "";
      const also = ended.length > 0 ? " What was said by hand of models that it has no longer has ended." : "";
      const back = async () => {
        if (!before) return service.deleteChain({ project, name, reason: UNDONE });
        await service.setChain({ project, ...requestOfChain(before), reason: UNDONE });
        return sayAgain(ended);
      };
      say(`The chain ${name} is ${before ? "changed" : "made"}.${also}`, undo(back, before ? `Undone: the chain ${name} is as it was.` : `Undone: there is no chain ${name}.`));
    },
  });
  const remove = useMutation({
    mutationFn: ({ name, reason }: { name: string; reason: string }) => service.deleteChain({ project, name, reason }),
    onSuccess: ({ chain }, { name }) => {
      changed();
      const back = async () => {
        if (!chain) return;
        await service.setChain({ project, ...requestOfChain(chain), reason: UNDONE });
        await sayAgain(chain.overrides);
      };
      say(`The chain ${name} is deleted.`, undo(back, `Undone: the chain ${name} is there again.`));
    },
  });
  const override = useMutation({
    mutationFn: ({ chain, model, action, endTime, reason }: Said) => service.setOverride({ project, chain, model, action, endTime, reason }),
    onSuccess: ({ before }, { chain, model, name, action }) => {
      changed();
      const back = () => (before ? sayAgain([before]) : service.endOverride({ project, chain, model, reason: UNDONE }));
      say(`${name} is ${DONE[action]}.`, undo(back, `Undone: ${name} is as it was.`));
    },
  });
  const end = useMutation({
    mutationFn: ({ said: { chain, model } }: { said: Override; name: string }) => service.endOverride({ project, chain, ...(model && { model }), reason: "" }),
    onSuccess: ({ override: ended }, { name, said: { action } }) => {
      changed();
      say(`${name} is no longer ${DONE[action]}.`, ended && undo(() => sayAgain([ended]), `Undone: ${name} is ${DONE[action]} again.`));
    },
    onError: (error, { name }) => say(`${name} stays as it is. ${words(error)}`),
  });
  return { set, remove, override, end };
}

export type { Chain, Override };
