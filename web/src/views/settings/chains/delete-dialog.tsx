import { useState } from "react";

import { type Chain, useChainChanges } from "../../../lib/chains";
import { words } from "../../../lib/service";
import { many } from "../../../lib/time";
import { Button } from "../../../parts/button";
import { Dialog } from "../../../parts/dialog";
import { FormEnd, Lines } from "../../../parts/entry";

export function DeleteDialog({ project, chain, onClose }: { project: string; chain: Chain; onClose: () => void }) {
  const { remove } = useChainChanges(project);
  const [reason, setReason] = useState("");
  const also = chain.overrides.length > 0 ? ` ${many(chain.overrides.length, "pin or drain", "pins and drains")} of it end too.` : "";
  return (
    <Dialog open onClose={onClose} title={`Delete the chain ${chain.name}?`} lead={`Workers that ask by it are refused from then on; sessions that run stay where they are.${also}`}>
      <Lines label="Why (may be left empty)" maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
      <FormEnd problem={remove.isError ? words(remove.error) : ""}>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate({ name: chain.name, reason: reason.trim() }, { onSuccess: onClose })}>
          Delete the chain
        </Button>
      </FormEnd>
    </Dialog>
  );
}
