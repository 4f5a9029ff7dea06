import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";

import { type Limit } from "../../gen/highwater/v1/limit_pb";
import { useLimits } from "../../lib/limits";
import { boundWord } from "../../lib/bound";
import { useLive } from "../../lib/live";
import { useCatalogue, useNames } from "../../lib/names";
import { words } from "../../lib/service";
import { slotsProblem } from "../../lib/slots";
import { CONNECTION_KINDS, KIND_NAME, KIND_WORD, MODEL_KINDS, isPool, seconds, targetKey, targetOf } from "../../lib/target";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Lines } from "../../parts/entry";
import { Field } from "../../parts/field";

/** Sets a limit, or changes one. */
export function LimitForm({ project, limit, onClose }: { project: string; limit?: Limit; onClose: () => void }) {
  const { set } = useLimits(project);
  const live = useLive(project);
  const catalogue = useCatalogue();
  const nameOf = useNames(project);
  const [key, setKey] = useState(targetKey(limit?.target));
  const [slots, setSlots] = useState(limit ? String(limit.slots) : "");
  const [until, setUntil] = useState("");
  const [reason, setReason] = useState("");
  const [tried, setTried] = useState(false);

  const target = limit?.target ?? targetOf(key);
  const end = until ? Date.parse(until) : NaN;
  const mistakes = {
    target: target ? "" : "Choose what to limit.",
    slots: slotsProblem(slots, 0),
    until: until && !(end > Date.now()) ? "A time in the future is needed." : "",
  };
  const used = [...live.byKey.values()].filter(({ target }) => !isPool(target) && target?.target.value?.model);
  const groups = [
    { label: "Pools", choices: MODEL_KINDS.map((kind) => ({ key: `pool:${KIND_WORD[kind]}`, name: `All ${KIND_NAME[kind]}` })) },
    { label: "In use", choices: used.map((quota) => ({ key: targetKey(quota.target), name: nameOf(quota.target) })) },
    { label: "Connections", choices: CONNECTION_KINDS.map((kind) => ({ key: `pool:${KIND_WORD[kind]}`, name: KIND_NAME[kind] })) },
    ...MODEL_KINDS.map((kind) => ({
      label: KIND_NAME[kind],
      choices: (catalogue.data ?? []).filter((model) => model.kind === kind).map(({ model, displayName }) => ({ key: `${KIND_WORD[kind]}/${model}`, name: displayName || model })),
    })),
  ];
  const seen = new Set<string>();
  const quota = target && live.byKey.get(targetKey(target));
  return (
    <Dialog
      open
      onClose={onClose}
      title={limit ? `Limit of ${nameOf(limit.target)}` : "Set a limit"}
      lead={limit ? `It is ${count(limit.slots)} now${limit.endTime ? ", and ends by itself" : ""}. What was before stays in the history.` : "From now on; what was before stays in the history."}
    >
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!target || Object.values(mistakes).some(Boolean)) return;
          set.mutate({ target, name: nameOf(target), slots: Number(slots), reason: reason.trim(), ...(until && { endTime: timestampFromMs(end) }) }, { onSuccess: onClose });
        }}
      >
        {!limit && (
          <div>
            <label className="block text-muted">
              Of
              <select value={key} autoFocus onChange={(event) => setKey(event.currentTarget.value)} className="mt-1 block h-8 w-full rounded-[4px] border bg-ground px-2 text-text">
                <option value="">Choose…</option>
                {groups.map(({ label, choices }) => {
                  const fresh = choices.filter((choice) => !seen.has(choice.key) && seen.add(choice.key));
                  return (
                    fresh.length > 0 && (
                      <optgroup key={label} label={label}>
                        {fresh.map((choice) => (
                          <option key={choice.key} value={choice.key}>
                            {choice.name}
                          </option>
                        ))}
                      </optgroup>
                    )
                  );
                })}
              </select>
            </label>
            {tried && mistakes.target && <p className="mt-1 text-red">{mistakes.target}</p>}
          </div>
        )}
        <Field
          label="Slots at once"
          inputMode="numeric"
          value={slots}
          onChange={(event) => setSlots(event.currentTarget.value)}
          error={tried ? mistakes.slots : ""}
          hint={quota?.peak ? `The peak of the last seven days is ${boundWord(quota.peakBound)}${count(quota.peak.level)}.` : ""}
        />
        <Field label="Until (leave empty for no end)" type="datetime-local" value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={tried ? mistakes.until : ""} />
        {limit?.endTime && !until && <p className="text-amber">Left empty, the limit no longer ends at {new Date((seconds(limit.endTime) ?? 0) * 1_000).toLocaleString("en-GB")}.</p>}
        <Lines label="Why (may be left empty)" maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <FormEnd problem={set.isError ? words(set.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            Set the limit
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
