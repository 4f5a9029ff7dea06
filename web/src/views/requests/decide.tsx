import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type IncreaseRequest } from "../../gen/highwater/v1/request_pb";
import { say } from "../../lib/said";
import { requests } from "../../lib/requests";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { seconds } from "../../lib/target";
import { count, moment } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Lines } from "../../parts/entry";
import { Field } from "../../parts/field";
import { Detail } from "./detail";

/** The value of a field of date and time, in local time. */
const fieldOf = (at: number | undefined): string => {
  if (at === undefined) return "";
  const local = new Date(at * 1_000 - new Date(at * 1_000).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
};

/** An operator approves, approves in part, or declines, with a word. */
export function Decide({ request, onClose, onDone }: { request: IncreaseRequest; onClose: () => void; onDone: () => void }) {
  const client = useQueryClient();
  const [granted, setGranted] = useState(String(request.wantedSlots));
  const [until, setUntil] = useState(fieldOf(seconds(request.endTime)));
  const [word, setWord] = useState("");
  const slots = Number(granted);
  const problem = slotsProblem(granted, 1);
  const valid = !problem;
  const inPart = valid && slots < request.wantedSlots;
  const end = until ? Date.parse(until) : NaN;
  const decide = useMutation({
    mutationFn: (slots: number) =>
      requests.decideIncreaseRequest({ id: request.id, slots, word: word.trim(), ...(slots > 0 && until && { endTime: timestampFromMs(end) }) }),
    onSuccess: (_, slots) => {
      say(
        slots === 0
          ? `Declined: ${request.displayName} stays as it is.`
          : `${slots < request.wantedSlots ? "Approved in part" : "Approved"}: the limit of ${request.displayName} is ${count(slots)}${until ? ` until ${moment(end / 1_000)}` : ""}.`,
      );
      void client.invalidateQueries({ queryKey: ["limits"] });
      onDone();
      onClose();
    },
  });
  const needsWord = !word.trim();
  const past = Boolean(until) && !(end > Date.now());
  return (
    <Dialog open wide onClose={onClose} title={`${request.displayName}: ${count(request.wantedSlots)} wanted in ${request.project}`}>
      <Detail request={request} />
      <form
        className="mt-5 border-t pt-4"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (valid && !past && !(inPart && needsWord)) decide.mutate(slots);
        }}
      >
        <div className="grid gap-3 sm:grid-cols-2">
          <Field
            label="Limit to grant"
            inputMode="numeric"
            value={granted}
            onChange={(event) => setGranted(event.currentTarget.value)}
            error={problem}
            hint={inPart ? `Less than the ${count(request.wantedSlots)} that were asked for: say why.` : "As asked."}
          />
          <Field
            label="Until (leave empty for no end)"
            type="datetime-local"
            value={until}
            onChange={(event) => setUntil(event.currentTarget.value)}
            error={past ? "A time in the future is needed." : ""}
          />
        </div>
        <Lines className="mt-3" label="A word to who asked" maxLength={500} value={word} onChange={(event) => setWord(event.currentTarget.value)} hint="Needed to decline, or to grant less than was asked." />
        <FormEnd problem={decide.isError ? words(decide.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" disabled={needsWord || decide.isPending} onClick={() => decide.mutate(0)}>
            Decline
          </Button>
          <Button look="main" type="submit" disabled={!valid || past || (inPart && needsWord) || decide.isPending}>
            {inPart ? `Approve ${count(slots)} in part` : `Approve ${valid ? count(slots) : ""}`}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
