import { useState } from "react";

import { type Target } from "../../gen/highwater/v1/types_pb";
import { useLimits } from "../../lib/limits";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Field } from "../../parts/field";

interface Props {
  project: string;
  target: Target;
  name: string;
  slots: number | undefined;
  onClose: () => void;
}

/** Sets the limit of a meter or pool, for those who may. */
export default function LimitDialog({ project, target, name, slots, onClose }: Props) {
  const [text, setText] = useState(slots === undefined ? "" : String(slots));
  const [reason, setReason] = useState("");
  const [tried, setTried] = useState(false);
  const { set } = useLimits(project);
  const problem = slotsProblem(text, 0);
  return (
    <Dialog open onClose={onClose} title={`Limit of ${name}`} lead="It holds from now on. The one before is kept in the history.">
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!problem) set.mutate({ target, name, slots: Number(text), reason: reason.trim() }, { onSuccess: onClose });
        }}
      >
        <Field
          label="Slots"
          inputMode="numeric"
          value={text}
          onChange={(event) => setText(event.target.value)}
          error={tried ? problem : ""}
        />
        <Field label="Why (for the history)" value={reason} maxLength={500} onChange={(event) => setReason(event.target.value)} />
        <FormEnd problem={set.isError ? words(set.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            Set limit
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
