import { create } from "@bufbuild/protobuf";
import { type FormEvent, useState } from "react";

import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Kind, type Target, TargetSchema } from "../../gen/highwater/v1/types_pb";
import { useLive } from "../../lib/live";
import { useCatalogue, useNames } from "../../lib/names";
import { CONNECTION_KINDS, KIND_NAME, KIND_WORD, MODEL_KINDS, isPool, kindOf, targetKey, targetOf } from "../../lib/target";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Select } from "../../parts/entry";
import { Field } from "../../parts/field";
import { type Asked } from "../../parts/request-dialog";
import { customModel } from "../../lib/custom";

const CUSTOM = "custom";

interface Props {
  project: string;
  onClose: () => void;
  onChosen: (asked: Asked) => void;
}

/** What the form begins with: the peak with a quarter more, above the limit. */
export function askedOf(known: ReadonlyMap<string, Quota>, target: Target, name: string): Asked {
  const quota = known.get(targetKey(target));
  const limit = quota?.limit?.slots;
  return { target, name, limit, wanted: Math.max(Math.ceil((quota?.peak?.level ?? 0) * 1.25), (limit ?? 0) + 1) };
}

/** What to ask for more of: what is in use, what the catalogue knows, or a model that nobody knows yet. */
export function Choose({ project, onClose, onChosen }: Props) {
  const live = useLive(project);
  const catalogue = useCatalogue();
  const nameOf = useNames(project);
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");

  const used = [...live.byKey.values()];
  const usedKeys = new Set(used.map((quota) => targetKey(quota.target)));
  const known = (catalogue.data ?? []).map(({ kind, model, displayName }) => ({ kind, key: `${KIND_WORD[kind]}/${model}`, name: displayName || model }));
  const groups = [
    { label: "In use", choices: used.filter(({ target }) => isPool(target) || MODEL_KINDS.some((kind) => kind === kindOf(target))).map((quota) => ({ key: targetKey(quota.target), name: nameOf(quota.target) })) },
    ...MODEL_KINDS.map((kind) => ({ label: `${KIND_NAME[kind]}, not in use`, choices: known.filter((model) => model.kind === kind && !usedKeys.has(model.key)) })),
    { label: "Connections, not in use", choices: CONNECTION_KINDS.map((kind) => ({ key: `pool:${KIND_WORD[kind]}`, name: KIND_NAME[kind] })).filter((choice) => !usedKeys.has(choice.key)) },
  ];

  const asked = (target: Target, name: string) => askedOf(live.byKey, target, name);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (key !== CUSTOM) {
      const target = targetOf(key);
      if (!target) return setProblem("Choose what you need more of.");
      return onChosen(asked(target, nameOf(target)));
    }
    const form = new FormData(event.currentTarget);
    const of = (name: string) => String(form.get(name) ?? "");
    const custom = customModel(of("provider"), of("model"));
    if ("problem" in custom) return setProblem(custom.problem);
    const kind = MODEL_KINDS.find((one) => KIND_WORD[one] === of("kind")) ?? Kind.TTS;
    const target = create(TargetSchema, { target: { case: "meter", value: { kind, model: custom.model } } });
    onChosen(asked(target, `${of("provider").trim()} ${of("model").trim()}`));
  };
  return (
    <Dialog open onClose={onClose} title="Request more" lead="A higher limit, or a model that the project does not use yet.">
      <form onSubmit={submit} noValidate>
        <label className="block text-muted">
          Of what
          <select value={key} autoFocus onChange={(event) => setKey(event.currentTarget.value)} className="mt-1 block h-8 w-full rounded-[4px] border bg-ground px-2 text-text">
            <option value="">Choose…</option>
            {groups.map(
              ({ label, choices }) =>
                choices.length > 0 && (
                  <optgroup key={label} label={label}>
                    {choices.map((choice) => (
                      <option key={choice.key} value={choice.key}>
                        {choice.name}
                      </option>
                    ))}
                  </optgroup>
                ),
            )}
            <optgroup label="Other">
              <option value={CUSTOM}>A model that is not listed…</option>
            </optgroup>
          </select>
        </label>
        {key === CUSTOM && (
          <div className="mt-3 grid gap-3">
            <Field label="Provider" name="provider" placeholder="Acme Speech" maxLength={64} />
            <Field label="Model" name="model" placeholder="whisper-9" maxLength={64} hint="As the provider spells it." />
            <Select label="Kind" name="kind" options={MODEL_KINDS.map((kind) => [KIND_WORD[kind], KIND_NAME[kind]])} />
          </div>
        )}
        <FormEnd problem={problem}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit">
            Next: how much, and why
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
