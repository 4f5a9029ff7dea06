// Pinning or draining a model by hand: with a reason, and an end.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { useState } from "react";

import { type Chain, useChainChanges } from "../../../lib/chains";
import { Override_Action } from "../../../gen/highwater/v1/chain_pb";
import { asSentence, placedProblem } from "../../../lib/problems";
import { words } from "../../../lib/service";
import { fieldOfTime } from "../../../lib/time";
import { Button } from "../../../parts/button";
import { Dialog } from "../../../parts/dialog";
import { FormEnd, Lines } from "../../../parts/entry";
import { Field } from "../../../parts/field";

const HOUR_MS = 3_600_000;
/** What is chosen by a click, in hours. */
const SPANS = [1, 4, 24] as const;

interface Props {
  project: string;
  chain: Chain;
  place: number;
  action: Override_Action;
  name: string;
  onClose: () => void;
}

export function OverrideForm({ project, chain, place, action, name, onClose }: Props) {
  const { override } = useChainChanges(project);
  const [until, setUntil] = useState(() => fieldOfTime(Date.now() + HOUR_MS));
  const [reason, setReason] = useState("");
  const [tried, setTried] = useState(false);
  const model = chain.models[place];
  const end = until ? Date.parse(until) : NaN;
  const mistakes = {
    end_time: end > Date.now() ? "" : "A time in the future is needed: it ends by itself.",
    reason: reason.trim() ? "" : "Say why: others will see it.",
  };
  const said = placedProblem(override.isError ? ConnectError.from(override.error).rawMessage : "");
  const error = (field: keyof typeof mistakes) => (tried ? mistakes[field] : "") || (said.field === field ? asSentence(said.problem) : "");
  const isPin = action === Override_Action.PIN;
  return (
    <Dialog
      open
      onClose={onClose}
      title={`${isPin ? "Pin" : "Drain"} ${name}`}
      lead={
        isPin
          ? `New sessions of ${chain.name} use it while it has room and its provider is up, whatever the thresholds say.`
          : `No new session of ${chain.name} uses it; those that run stay until they end.`
      }
    >
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!model || Object.values(mistakes).some(Boolean)) return;
          override.mutate({ chain: chain.name, model, name, action, endTime: timestampFromMs(end), reason: reason.trim() }, { onSuccess: onClose });
        }}
      >
        <div>
          <Field label="Until" type="datetime-local" value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={error("end_time")} />
          <span className="mt-1 -ml-1.5 flex">
            {SPANS.map((hours) => (
              <Button key={hours} look="quiet" aria-label={`Until in ${hours} h`} onClick={() => setUntil(fieldOfTime(Date.now() + hours * HOUR_MS))}>
                in {hours} h
              </Button>
            ))}
          </span>
        </div>
        <div>
          <Lines autoFocus label="Why" maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          {error("reason") && <p className="text-red">{error("reason")}</p>}
        </div>
        <FormEnd problem={override.isError && !(said.field in mistakes) ? words(override.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={override.isPending}>
            {isPin ? "Pin" : "Drain"}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
