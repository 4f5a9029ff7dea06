import { Code, ConnectError } from "@connectrpc/connect";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { type Session } from "../../gen/highwater/v1/quota_pb";
import { say } from "../../lib/said";
import { quotas, words } from "../../lib/service";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Lines } from "../../parts/entry";

interface Props {
  project: string;
  session: Session;
  /** What it holds a slot of. */
  name: string;
  onClose: () => void;
  onDone: () => void;
}

/** Frees a slot by hand, with a reason that is kept. */
export function Release({ project, session, name, onClose, onDone }: Props) {
  const [reason, setReason] = useState("");
  const release = useMutation({
    mutationFn: () => quotas.releaseSession({ project, sessionId: session.id, incarnation: session.incarnation, reason: reason.trim() }),
    onSuccess: ({ released }) => {
      say(released ? `Freed: a slot of ${name} that ${session.workerId} held.` : `${session.workerId} was asked to close its session of ${name}. The slot is free when it has.`);
      onDone();
      onClose();
    },
    onError: (error) => {
      if (ConnectError.from(error).code !== Code.NotFound) return;
      say("That session has ended already.");
      onDone();
      onClose();
    },
  });
  const where = [session.labels?.room && `in room ${session.labels.room}`, session.labels?.job && `for job ${session.labels.job}`].filter(Boolean).join(", ");
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Release a slot of ${name}?`}
      lead={`Held by ${session.workerId}${where ? `, ${where}` : ""}. ${
        session.silent ? "Its worker is silent: the slot is freed at once." : "Its worker is there: it is asked to close the session. If it reports by single calls, the slot is freed at once."
      }`}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          release.mutate();
        }}
      >
        <Lines label="Why" required maxLength={500} value={reason} onChange={(event) => setReason(event.currentTarget.value)} hint="It is kept in the audit log. A release can’t be undone: the call has lost its slot." autoFocus />
        <FormEnd problem={release.isError ? words(release.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" type="submit" disabled={!reason.trim() || release.isPending}>
            Release
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
