import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Target } from "../../gen/highwater/v1/types_pb";
import { useAuthor } from "../../lib/author";
import { say } from "../../lib/said";
import { limits, words } from "../../lib/service";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { Field } from "../../parts/field";

const MOST_SLOTS = 16_777_215;

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
  const author = useAuthor();
  const client = useQueryClient();
  const value = Number(text);
  const isWrong = text.trim() === "" || !Number.isInteger(value) || value < 0 || value > MOST_SLOTS;
  const again = () => Promise.all(["limits", "annotations"].map((of) => client.invalidateQueries({ queryKey: [of] })));
  const undo = async () => {
    const of = { project, target, setBy: author, reason: "undone on the page" };
    if (slots === undefined) await limits.endLimit(of);
    else await limits.setLimit({ ...of, slots });
    await again();
  };
  const set = useMutation({
    mutationFn: () => limits.setLimit({ project, target, slots: value, reason: reason.trim(), setBy: author }),
    onSuccess: () => {
      void again();
      say(`The limit of ${name} is ${count(value)} now.`, undo);
      onClose();
    },
  });
  return (
    <Dialog open onClose={onClose} title={`Limit of ${name}`} lead="It holds from now on. The one before is kept in the history.">
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!isWrong) set.mutate();
        }}
      >
        <Field
          label="Slots"
          inputMode="numeric"
          value={text}
          onChange={(event) => setText(event.target.value)}
          error={tried && isWrong ? `A whole number from 0 to ${MOST_SLOTS.toLocaleString("en-US")} is needed.` : ""}
        />
        <Field label="Why (for the history)" value={reason} maxLength={500} onChange={(event) => setReason(event.target.value)} />
        {set.isError && (
          <p role="alert" className="text-red">
            {words(set.error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            Set limit
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
