// What is watched: the rules of the start, and those that the project added.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type AlertRule, type AlertRule_Threshold as Threshold, Severity } from "../../gen/highwater/v1/alert_pb";
import { Kind } from "../../gen/highwater/v1/types_pb";
import { ALERT_WORD, SEVERITY_WORD, alerts, isOfLevel } from "../../lib/alerts";
import { useCaller } from "../../lib/caller";
import { useCatalogue } from "../../lib/names";
import { say } from "../../lib/said";
import { words } from "../../lib/service";
import { spanWords } from "../../lib/spans";
import { KIND_NAME } from "../../lib/target";
import { count, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { Empty, Part, Unread } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { Trail } from "../settings/audit";
import { RuleForm } from "./rule-form";

const long = (of: { seconds: bigint } | undefined): number => Number(of?.seconds ?? 0n);

/** "80 %", or "16 slots". */
export const thresholdWords = (threshold: Threshold | undefined): string =>
  threshold?.level.case === "slots" ? many(threshold.level.value, "slot") : `${count(threshold?.level.value ?? 0)} %`;

/** What a rule watches: it begins "from 80 % of the limit, for 2 min", and ends "below 70 %, for 5 min". */
export function ruleWords(rule: AlertRule): { begins: string; ends: string } {
  const hold = long(rule.hold);
  const held = hold === 0 ? "at once" : `for ${spanWords(hold)}`;
  const keep = `for ${spanWords(long(rule.keep))}`;
  if (!isOfLevel(rule.kind)) return { begins: `${ALERT_WORD[rule.kind]}, ${held}`, ends: "" };
  const of = rule.threshold?.level.case === "slots" ? "" : " of the limit";
  const beyond = ALERT_WORD[rule.kind] === "over" ? "above" : "from";
  return { begins: `${beyond} ${thresholdWords(rule.threshold)}${of}, ${held}`, ends: `below ${thresholdWords(rule.clear)}, ${keep}` };
}

export function Rules({ project }: { project: string }) {
  const caller = useCaller();
  const client = useQueryClient();
  const catalogue = useCatalogue();
  const [editing, setEditing] = useState<AlertRule | "new">();
  const { data, error, isPending, isError, refetch } = useQuery({ queryKey: ["alert-rules", project], queryFn: () => alerts.listAlertRules({ project }) });
  const changed = async () => {
    await Promise.all([client.invalidateQueries({ queryKey: ["alert-rules", project] }), client.invalidateQueries({ queryKey: ["audit", project] })]);
  };
  const write = (rule: AlertRule) => alerts.setAlertRule({ project, rule });
  /** The way back: as it was, or gone when it was not there. */
  const back = (name: string, before: AlertRule | undefined) => async () => {
    if (before) await write(before);
    else await alerts.deleteAlertRule({ project, ruleName: name });
    await changed();
    say(`Undone: the rule ${name} is as it was.`);
  };
  const turn = useMutation({
    mutationFn: (rule: AlertRule) => write({ ...rule, enabled: !rule.enabled }),
    onSuccess: (_, rule) => {
      void changed();
      say(`The rule ${rule.name} is ${rule.enabled ? "off" : "on"}.`, back(rule.name, rule));
    },
    onError: (problem, { name }) => say(`The rule ${name} was not changed. ${words(problem)}`),
  });
  const remove = useMutation({
    mutationFn: (rule: AlertRule) => alerts.deleteAlertRule({ project, ruleName: rule.name }),
    onSuccess: (_, rule) => {
      void changed();
      say(rule.builtIn ? `The rule ${rule.name} is as at the start.` : `Deleted: the rule ${rule.name}.`, back(rule.name, rule));
    },
    onError: (problem, { name }) => say(`The rule ${name} was not deleted. ${words(problem)}`),
  });
  const modelName = ({ onlyModel }: AlertRule) => catalogue.data?.find(({ model }) => model === onlyModel)?.displayName || onlyModel;
  const muted = (rule: AlertRule) => (rule.enabled ? "" : "text-muted");

  const columns: Column<AlertRule>[] = [
    {
      key: "name",
      head: "Rule",
      names: true,
      cell: (rule) => (
        <>
          <span className={`font-medium ${muted(rule)}`}>{rule.name}</span>
          {rule.builtIn && <span className="font-normal whitespace-nowrap text-muted"> from the start</span>}
        </>
      ),
    },
    {
      key: "when",
      head: "Fires",
      cell: (rule) => (
        <span className={muted(rule)}>
          {ruleWords(rule).begins}
        </span>
      ),
    },
    { key: "ends", head: "Ends", cell: (rule) => <span className="text-muted">{ruleWords(rule).ends || "when it is gone"}</span> },
    { key: "of", head: "Of", className: "md:min-w-24", cell: (rule) => <span className={muted(rule)}>{rule.onlyModel ? modelName(rule) : rule.onlyKind !== Kind.UNSPECIFIED ? KIND_NAME[rule.onlyKind] : "everything"}</span> },
    { key: "severity", head: "Severity", cell: (rule) => <span className={`whitespace-nowrap ${muted(rule)}`}>{SEVERITY_WORD[rule.severity]}</span> },
    { key: "repeat", head: "Again", cell: ({ repeat }) => <span className="whitespace-nowrap text-muted">{repeat ? `each ${spanWords(long(repeat))}` : "never"}</span> },
    {
      key: "on",
      head: "On",
      cell: (rule) =>
        caller?.edits ? (
          <input type="checkbox" role="switch" className="align-middle" aria-label={`Rule ${rule.name}`} checked={rule.enabled} disabled={turn.isPending} onChange={() => turn.mutate(rule)} />
        ) : (
          <span className="text-muted">{rule.enabled ? "on" : "off"}</span>
        ),
    },
    ...(caller?.edits
      ? [
          {
            key: "do",
            head: "",
            end: true,
            cell: (rule: AlertRule) => (
              <span className="inline-flex">
                <Button look="quiet" aria-label={`Change the rule ${rule.name}`} onClick={() => setEditing(rule)}>
                  Change
                </Button>
                <Button look="quiet" aria-label={rule.builtIn ? `Reset the rule ${rule.name}` : `Delete the rule ${rule.name}`} title={rule.builtIn ? "As at the start" : undefined} onClick={() => remove.mutate(rule)}>
                  {rule.builtIn ? "Reset" : "Delete"}
                </Button>
              </span>
            ),
          },
        ]
      : []),
  ];
  return (
    <>
      <Part
        title="Rules"
        lead="What is watched, of each model and pool that has a limit. The worst that fires is told, once; quiet hours are those of who is told."
        actions={
          caller?.edits && (
            <Button look="main" onClick={() => setEditing("new")}>
              Add a rule
            </Button>
          )
        }
      >
        {isError && !data ? (
          <Unread what="Rules" project={project} error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <SkeletonRows rows={6} />
        ) : data.rules.length === 0 ? (
          <Empty title="There is no rule." />
        ) : (
          <Table label="Rules" columns={columns} rows={data.rules} keyOf={({ name }) => name} />
        )}
      </Part>
      {caller?.edits && (
        <Part title="What was changed">
          <Trail project={project} of="alert.rule" />
        </Part>
      )}
      {editing && (
        <RuleForm
          project={project}
          rule={editing === "new" ? undefined : editing}
          taken={data?.rules.map(({ name }) => name) ?? []}
          onClose={() => setEditing(undefined)}
          onSet={(rule) => {
            const before = editing === "new" ? undefined : editing;
            setEditing(undefined);
            void changed();
            say(before ? `The rule ${rule.name} was changed.` : `The rule ${rule.name} watches from now on.`, back(rule.name, before));
          }}
        />
      )}
    </>
  );
}

export const SEVERITIES = [Severity.INFO, Severity.WARNING, Severity.CRITICAL].map((of): [string, string] => [String(of), SEVERITY_WORD[of]]);
