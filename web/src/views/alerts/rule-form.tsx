// Sets a rule, and says while it is typed what it would have fired.
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { AlertKind, type AlertRule, AlertRuleSchema, Severity } from "../../gen/highwater/v1/alert_pb";
import { Kind } from "../../gen/highwater/v1/types_pb";
import { ACROSS, ALERT_WORD, LEVEL_KINDS, SERVICE_KINDS, WAY_KINDS, alerts, isOfLevel } from "../../lib/alerts";
import { fieldProblem } from "../../lib/problems";
import { useLive } from "../../lib/live";
import { useCatalogue } from "../../lib/names";
import { words } from "../../lib/service";
import { spanOf, spanWords } from "../../lib/spans";
import { CONNECTION_KINDS, KIND_NAME, MODEL_KINDS, isPool, kindOf } from "../../lib/target";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Select } from "../../parts/entry";
import { Field } from "../../parts/field";
import { Preview } from "./preview";
import { SEVERITIES } from "./rules";

/** A rule that has no name yet is looked at under this one. */
const NAMELESS = "preview";
const SPAN_HINT = "Such as 30 s, 2 min or 1 h 30 min.";

/** A rule as it is typed. */
interface Typed {
  name: string;
  kind: AlertKind;
  onlyKind: Kind;
  onlyModel: string;
  unit: "percent" | "slots";
  level: string;
  hold: string;
  clear: string;
  keep: string;
  severity: Severity;
  repeat: string;
}

const typedOf = (rule: AlertRule | undefined): Typed => ({
  name: rule?.name ?? "",
  kind: rule?.kind ?? AlertKind.APPROACHING,
  onlyKind: rule?.onlyKind ?? Kind.UNSPECIFIED,
  onlyModel: rule?.onlyModel ?? "",
  unit: rule?.threshold?.level.case === "slots" ? "slots" : "percent",
  level: String(rule ? (rule.threshold?.level.value ?? 0) : 80),
  hold: rule ? spanWords(Number(rule.hold?.seconds ?? 0n)) : "2 min",
  clear: String(rule ? (rule.clear?.level.value ?? 0) : 70),
  keep: rule ? spanWords(Number(rule.keep?.seconds ?? 0n)) : "5 min",
  severity: rule?.severity ?? Severity.WARNING,
  repeat: rule?.repeat ? spanWords(Number(rule.repeat.seconds)) : "",
});

/** What can't be a rule at all, by its field; what a rule may hold is the service's to say. */
function mistakesOf(typed: Typed): Record<string, string> {
  const found: Record<string, string> = {};
  const isWhole = (text: string) => /^\d{1,9}$/.test(text.trim());
  if (isOfLevel(typed.kind)) {
    if (!isWhole(typed.level)) found["threshold"] = "A whole number is needed.";
    if (!isWhole(typed.clear)) found["clear"] = "A whole number is needed.";
  }
  if (spanOf(typed.hold) === undefined) found["hold"] = SPAN_HINT;
  if (spanOf(typed.keep) === undefined) found["keep"] = SPAN_HINT;
  if (typed.repeat.trim() && spanOf(typed.repeat) === undefined) found["repeat"] = `${SPAN_HINT} Leave it empty for never.`;
  return found;
}

function ruleOf(typed: Typed, enabled: boolean): AlertRule {
  const level = (text: string) => ({ level: { case: typed.unit, value: Number(text) } }) as const;
  const span = (text: string) => ({ seconds: BigInt(spanOf(text) ?? 0), nanos: 0 });
  return create(AlertRuleSchema, {
    name: typed.name.trim() || NAMELESS,
    kind: typed.kind,
    enabled,
    onlyKind: typed.onlyKind,
    onlyModel: typed.onlyModel,
    ...(isOfLevel(typed.kind) && { threshold: level(typed.level), clear: level(typed.clear) }),
    hold: span(typed.hold),
    keep: span(typed.keep),
    severity: typed.severity,
    ...(typed.repeat.trim() && { repeat: span(typed.repeat) }),
  });
}

interface Props {
  project: string;
  rule: AlertRule | undefined;
  taken: string[];
  onClose: () => void;
  onSet: (rule: AlertRule) => void;
}

export function RuleForm({ project, rule, taken, onClose, onSet }: Props) {
  const live = useLive(project);
  const catalogue = useCatalogue();
  const [typed, setTyped] = useState(() => typedOf(rule));
  const [previewError, setPreviewError] = useState("");
  const [tried, setTried] = useState(false);
  const change = (of: Partial<Typed>) => {
    setTyped({ ...typed, ...of });
    // What the service said was of what was typed before.
    set.reset();
  };
  const mistakes = mistakesOf(typed);
  if (tried && !typed.name.trim()) mistakes["name"] = "A name is needed: it is what mails and webhooks call it.";
  if (!rule && taken.includes(typed.name.trim())) mistakes["name"] = "There is a rule of this name: change that one.";
  const set = useMutation({
    mutationFn: () => alerts.setAlertRule({ project, rule: ruleOf(typed, rule?.enabled ?? true) }),
    onSuccess: (answer) => answer.rule && onSet(answer.rule),
  });
  const said = fieldProblem(set.isError ? ConnectError.from(set.error).rawMessage : previewError);
  const error = (field: string) => mistakes[field] || (said.field === field ? said.problem : "");
  const FIELDS = ["name", "kind", "only_model", "only_kind", "threshold", "hold", "clear", "keep", "repeat", "severity"];
  const isOfField = FIELDS.includes(said.field);
  const isClear = Object.keys(mistakes).length === 0;
  const level = isOfLevel(typed.kind);
  const kinds = [...LEVEL_KINDS, AlertKind.WORKERS_SILENT, ...WAY_KINDS, ...(project === ACROSS ? SERVICE_KINDS : [])];
  if (rule && SERVICE_KINDS.some((kind) => kind === rule.kind) && !kinds.includes(rule.kind)) kinds.push(rule.kind);
  const ofKind = (kind: Kind) => typed.onlyKind === Kind.UNSPECIFIED || kind === typed.onlyKind;
  const models = new Map<string, string>();
  for (const quota of live.byKey.values()) {
    const model = quota.target?.target.value?.model;
    if (model && !isPool(quota.target) && ofKind(kindOf(quota.target))) models.set(model, quota.displayName || model);
  }
  for (const { model, kind, displayName } of catalogue.data ?? []) if (ofKind(kind) && !models.has(model)) models.set(model, displayName || model);
  if (typed.onlyModel && !models.has(typed.onlyModel)) models.set(typed.onlyModel, typed.onlyModel);
  const unit = typed.unit === "percent" ? "% of the limit" : "slots";
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={rule ? `The rule ${rule.name}` : "Add a rule"}
      lead={rule?.builtIn ? "It is there from the start: Reset takes back what is changed here." : "It watches every model and pool that fits, beside the rules that are there."}
    >
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (isClear && typed.name.trim()) set.mutate();
        }}
      >
        <div className="grid gap-3 sm:grid-cols-2">
          {!rule && <Field label="Name" placeholder="turbo-nearly-full" maxLength={64} autoFocus value={typed.name} onChange={(event) => change({ name: event.currentTarget.value })} error={error("name")} hint="Of a-z, 0-9 and . _ -" />}
          <Select
            label="When a level is"
            options={kinds.map((kind): [string, string] => [String(kind), ALERT_WORD[kind]])}
            value={String(typed.kind)}
            onChange={(event) => change({ kind: Number(event.currentTarget.value) })}
            disabled={Boolean(rule)}
            className={rule ? "sm:col-span-2" : ""}
          />
          <Select
            label="Of which kind"
            options={[[String(Kind.UNSPECIFIED), "any"], ...[...MODEL_KINDS, ...CONNECTION_KINDS].map((kind): [string, string] => [String(kind), KIND_NAME[kind]])]}
            value={String(typed.onlyKind)}
            onChange={(event) => change({ onlyKind: Number(event.currentTarget.value), onlyModel: "" })}
          />
          <Select label="Of which model" options={[["", "any, and the pools"], ...models]} value={typed.onlyModel} onChange={(event) => change({ onlyModel: event.currentTarget.value })} />
          {level && (
            <>
              <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1.2fr)] gap-2">
                <Field label={typed.kind === AlertKind.OVER ? "Above" : "From"} inputMode="numeric" value={typed.level} onChange={(event) => change({ level: event.currentTarget.value })} error={error("threshold")} />
                <Select
                  label="Counted in"
                  options={[
                    ["percent", "% of the limit"],
                    ["slots", "slots"],
                  ]}
                  value={typed.unit}
                  onChange={(event) => change({ unit: event.currentTarget.value === "slots" ? "slots" : "percent" })}
                />
              </div>
              <Field label="For" value={typed.hold} onChange={(event) => change({ hold: event.currentTarget.value })} error={error("hold")} hint="0 s is at once." />
              <Field label={`It ends below (${unit})`} inputMode="numeric" value={typed.clear} onChange={(event) => change({ clear: event.currentTarget.value })} error={error("clear")} />
              <Field label="When it was so for" value={typed.keep} onChange={(event) => change({ keep: event.currentTarget.value })} error={error("keep")} />
            </>
          )}
          {!level && <Field label="For" value={typed.hold} onChange={(event) => change({ hold: event.currentTarget.value })} error={error("hold")} hint="0 s is at once." />}
          <Select label="Severity" options={SEVERITIES} value={String(typed.severity)} onChange={(event) => change({ severity: Number(event.currentTarget.value) })} />
          <Field label="Told again after" placeholder="never" value={typed.repeat} onChange={(event) => change({ repeat: event.currentTarget.value })} error={error("repeat")} hint="While it fires and nobody has acknowledged it." />
        </div>
        {level && <Preview project={project} rule={isClear ? ruleOf(typed, true) : undefined} onError={setPreviewError} />}
        <FormEnd problem={set.isError && !isOfField ? words(set.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            {rule ? "Set the rule" : "Add the rule"}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
