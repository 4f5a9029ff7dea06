// Asks for more: from a row, from a limit that was dragged, or for a model that is not in use yet.
import { type Target } from "../../gen/highwater/v1/types_pb";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { requests } from "../../lib/requests";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { count, many } from "../../lib/time";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { FormEnd } from "../entry";
import { Field } from "../field";

export interface Asked {
  target: Target;
  name: string;
  /** The limit in force, if there is one. */
  limit: number | undefined;
  /** What the field begins with. */
  wanted: number;
}

export function RequestDialog({ project, asked, onClose }: { project: string; asked: Asked; onClose: () => void }) {
  const [wanted, setWanted] = useState(String(asked.wanted));
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState("");
  const client = useQueryClient();
  const slots = Number(wanted);
  const end = until ? Date.parse(until) : NaN;
  const mistakes = {
    wanted:
      slotsProblem(wanted, 1) || (asked.limit !== undefined && slots <= asked.limit ? `The limit is ${count(asked.limit)} already: ask for more.` : ""),
    reason: reason.trim() === "" ? "Say why, for who decides." : new TextEncoder().encode(reason).length > 500 ? "At most 500 bytes." : "",
    until: until && !(end > Date.now()) ? "A time in the future is needed." : "",
  };
  const [tried, setTried] = useState(false);
  const send = useMutation({
    mutationFn: () =>
      requests.createIncreaseRequest({
        project,
        target: asked.target,
        wantedSlots: slots,
        reason: reason.trim(),
        ...(until && { endTime: { seconds: BigInt(Math.floor(end / 1_000)), nanos: 0 } }),
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["requests"] }),
  });
  const wrong = Object.values(mistakes).some(Boolean);
  if (send.isSuccess) {
    return (
      <Dialog open onClose={onClose} title="Requested" lead={`${asked.name}: ${many(slots, "slot")}. An operator decides; Requests shows where it stands.`}>
        <Button look="main" onClick={onClose}>
          Done
        </Button>
      </Dialog>
    );
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Request more of ${asked.name}`}
      lead={`${asked.limit === undefined ? "It has no limit yet." : `Its limit is ${count(asked.limit)}.`} What the last seven days say is attached by itself.`}
    >
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!wrong) send.mutate();
        }}
      >
        <Field label="Wanted limit" inputMode="numeric" value={wanted} onChange={(e) => setWanted(e.target.value)} error={tried ? mistakes.wanted : ""} />
        <Field label="Why" value={reason} onChange={(e) => setReason(e.target.value)} error={tried ? mistakes.reason : ""} maxLength={500} />
        <Field
          label="Until (leave empty for no end)"
          type="datetime-local"
          value={until}
          onChange={(e) => setUntil(e.target.value)}
          error={tried ? mistakes.until : ""}
        />
        <FormEnd problem={send.isError ? words(send.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={send.isPending}>
            Request {Number.isInteger(slots) && slots > 0 ? count(slots) : ""}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
