// A chain as it is typed: made, or changed. Whether it may be so is the service's to say, beside the field that it is of.
import { ConnectError } from "@connectrpc/connect";
import { useState } from "react";

import { type Draft, MOST_MODELS, draftOf, dwellProblem, newDraft } from "../../../lib/chain-draft";
import { type Chain, useChainChanges } from "../../../lib/chains";
import { Kind } from "../../../gen/highwater/v1/types_pb";
import { asSentence, placedProblem } from "../../../lib/problems";
import { words } from "../../../lib/service";
import { KIND_NAME, MODEL_KINDS } from "../../../lib/target";
import { Button } from "../../../parts/button";
import { Dialog } from "../../../parts/dialog";
import { FormEnd, Lines, Select } from "../../../parts/entry";
import { Field } from "../../../parts/field";
import { Models } from "./models";

interface Props {
  project: string;
  /** Names of the chains that there are. */
  taken: readonly string[];
  /** What is changed; absent for a new one. */
  chain?: Chain;
  onClose: () => void;
}

const FIELDS: readonly string[] = ["name", "kind", "models", "fill_percent", "return_percent", "dwell"];

export function ChainForm({ project, taken, chain, onClose }: Props) {
  const { set } = useChainChanges(project);
  const [draft, setDraft] = useState<Draft>(() => (chain ? draftOf(chain) : newDraft(Kind.TTS)));
  const [reason, setReason] = useState("");
  const change = (of: Partial<Draft>) => {
    setDraft({ ...draft, ...of });
    // What the service said was of what was typed before.
    set.reset();
  };
  const said = placedProblem(set.isError ? ConnectError.from(set.error).rawMessage : "");
  const error = (field: string) => (said.field === field ? asSentence(said.problem) : "");
  const isTaken = !chain && taken.includes(draft.name.trim());
  const typed = { name: isTaken ? "There is a chain of this name: change that one." : "", dwell: dwellProblem(draft.dwell) };
  return (
    <Dialog open wide onClose={onClose} title={chain ? `Chain ${chain.name}` : "Make a chain"} lead={chain ? "New sessions follow it from now on; those that run stay where they are." : "Workers ask for a slot by its name, and get the model that has room."}>
      <form
        noValidate
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.name || typed.dwell) return;
          set.mutate({ draft, reason: reason.trim() }, { onSuccess: onClose });
        }}
      >
        {!chain && (
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="Name" autoFocus placeholder="voice" autoComplete="off" spellCheck={false} value={draft.name} onChange={(event) => change({ name: event.currentTarget.value })} error={typed.name || error("name")} hint="As workers write it: small letters, digits, . _ and -." />
            <Select
              label="Models of"
              value={String(draft.kind)}
              options={MODEL_KINDS.map((kind) => [String(kind), KIND_NAME[kind]] as const)}
              onChange={(event) => change({ kind: Number(event.currentTarget.value) as Kind, models: [] })}
            />
          </div>
        )}
        <Models project={project} kind={draft.kind} models={draft.models} onChange={(models) => change({ models })} problem={error("models")} place={said.field === "models" ? said.place : undefined} most={MOST_MODELS} />
        <fieldset className="grid gap-3">
          <legend className="font-medium">When new sessions leave a model</legend>
          <label className="mt-1 flex items-center gap-2">
            <input type="checkbox" checked={draft.thresholdsOff} onChange={(event) => change({ thresholdsOff: event.currentTarget.checked })} />
            Only when it is full, or its provider is down
          </label>
          <div className="grid gap-3 sm:grid-cols-3">
            {!draft.thresholdsOff && (
              <>
                <Field label="They leave from, % of its limit" inputMode="numeric" value={draft.fill} onChange={(event) => change({ fill: event.currentTarget.value })} error={error("fill_percent")} />
                <Field label="They return below, %" inputMode="numeric" value={draft.return} onChange={(event) => change({ return: event.currentTarget.value })} error={error("return_percent")} />
              </>
            )}
            <Field label="A route stays at least" value={draft.dwell} onChange={(event) => change({ dwell: event.currentTarget.value })} error={typed.dwell || error("dwell")} hint="30 s to 1 h." />
          </div>
        </fieldset>
        <Lines label="Why (may be left empty)" maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <FormEnd problem={set.isError && (!FIELDS.includes(said.field) || said.field === "kind") ? words(set.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            {chain ? "Save the chain" : "Make the chain"}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
