// Names somebody who is told, or changes how.
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";

import { type Recipient, RecipientSchema, Recipient_Webhook_Form as Form, Severity } from "../../gen/highwater/v1/alert_pb";
import { SEVERITY_WORD, alerts } from "../../lib/alerts";
import { fieldProblem } from "../../lib/problems";
import { words } from "../../lib/service";
import { ZONE } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Select } from "../../parts/entry";
import { Field } from "../../parts/field";

export const FORM_NAME: Record<Form, string> = {
  [Form.UNSPECIFIED]: "Webhook",
  [Form.STANDARD]: "Webhook",
  [Form.SLACK]: "Slack",
  [Form.ALERTMANAGER]: "Alertmanager",
};
const WAYS = [
  ["mailbox", "E-mail"],
  [String(Form.STANDARD), "Webhook, signed (Standard Webhooks)"],
  [String(Form.SLACK), "Slack"],
  [String(Form.ALERTMANAGER), "Alertmanager (API v2)"],
] as const;
const URL_EXAMPLE: Record<string, string> = {
  [String(Form.STANDARD)]: "https://hooks.example.com/highwater",
  [String(Form.SLACK)]: "https://hooks.slack.com/services/…",
  [String(Form.ALERTMANAGER)]: "https://alertmanager.example.com",
};
const SECRET_BYTES = 32;
const FIELDS = ["name", "address", "url", "form", "secret", "quiet_hours", "time_zone", "least_severity"];

/** "22:00" of a minute of the day. */
export const clockOf = (minute: number): string => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
const minuteOf = (clock: string): number => {
  const [hour = 0, minute = 0] = clock.split(":").map(Number);
  return hour * 60 + minute;
};

/** A secret as Standard Webhooks spells it. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

interface Props {
  project: string;
  recipient: Recipient | undefined;
  taken: string[];
  mailConfigured: boolean;
  onClose: () => void;
  /** With the secret that was made, to be shown once. */
  onSet: (name: string, secret: string) => void;
}

export function RecipientForm({ project, recipient, taken, mailConfigured, onClose, onSet }: Props) {
  const hook = recipient?.address.case === "webhook" ? recipient.address.value : undefined;
  const quiet = recipient?.quietHours;
  const zones = useId();
  const [name, setName] = useState(recipient?.name ?? "");
  const [way, setWay] = useState<string>(hook ? String(hook.form || Form.STANDARD) : "mailbox");
  const [mailbox, setMailbox] = useState(recipient?.address.case === "mailbox" ? recipient.address.value : "");
  const [url, setUrl] = useState(hook?.url ?? "");
  const [renews, setRenews] = useState(false);
  const [least, setLeast] = useState<Severity>(recipient?.leastSeverity || Severity.WARNING);
  const [hasQuiet, setHasQuiet] = useState(quiet !== undefined);
  const [from, setFrom] = useState(clockOf(quiet?.fromMinute ?? 22 * 60));
  const [to, setTo] = useState(clockOf(quiet?.toMinute ?? 7 * 60));
  const [zone, setZone] = useState(quiet?.timeZone || ZONE);
  const [criticalToo, setCriticalToo] = useState(quiet?.criticalToo ?? false);
  const [tried, setTried] = useState(false);
  const isMail = way === "mailbox";
  const isSigned = way === String(Form.STANDARD);
  const wasSigned = hook !== undefined && String(hook.form || Form.STANDARD) === way;
  const makesSecret = isSigned && (!wasSigned || renews);
  const mistakes: Record<string, string> = {};
  if (!name.trim()) mistakes["name"] = "A name is needed.";
  else if (!recipient && taken.includes(name.trim())) mistakes["name"] = "There is a recipient of this name: change that one.";
  if (isMail && !mailbox.trim()) mistakes["address"] = "An address is needed, such as ops@example.com.";
  if (!isMail && !url.trim()) mistakes["url"] = "An address is needed, such as https://hooks.example.com/path.";
  const set = useMutation({
    mutationFn: async () => {
      const secret = makesSecret ? newSecret() : "";
      const wanted = create(RecipientSchema, {
        name: name.trim(),
        address: isMail ? { case: "mailbox", value: mailbox.trim() } : { case: "webhook", value: { url: url.trim(), form: Number(way), secret } },
        enabled: recipient?.enabled ?? true,
        leastSeverity: least,
        ...(hasQuiet && { quietHours: { fromMinute: minuteOf(from), toMinute: minuteOf(to), timeZone: zone.trim(), criticalToo } }),
      });
      await alerts.setRecipient({ project, recipient: wanted });
      return secret;
    },
    onSuccess: (secret) => onSet(name.trim(), secret),
  });
  const said = fieldProblem(set.isError ? ConnectError.from(set.error).rawMessage : "");
  const error = (field: string) => (tried && mistakes[field]) || (said.field === field ? said.problem : "");
  return (
    <Dialog open onClose={onClose} title={recipient ? `Change ${recipient.name}` : "Add a recipient"} lead={recipient?.unsubscribeTime ? "They unsubscribed. Setting them anew tells them again: ask them first." : "Told of this project's alerts from now on."}>
      <form
        noValidate
        className="grid gap-3"
        // What the service said was of what was typed before.
        onChange={() => set.reset()}
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (Object.keys(mistakes).length === 0) set.mutate();
        }}
      >
        {!recipient && <Field label="Name" placeholder="on-call" maxLength={64} autoFocus value={name} onChange={(event) => setName(event.currentTarget.value)} error={error("name")} hint="Of a-z, 0-9 and . _ -" />}
        <Select label="By" options={WAYS} value={way} onChange={(event) => setWay(event.currentTarget.value)} />
        {isMail ? (
          <Field
            label="Address"
            type="email"
            placeholder="ops@example.com"
            spellCheck={false}
            value={mailbox}
            onChange={(event) => setMailbox(event.currentTarget.value)}
            error={error("address")}
            hint={mailConfigured ? "" : "No mail server is configured yet: mails wait for one."}
          />
        ) : (
          <Field
            label="URL"
            type="url"
            placeholder={URL_EXAMPLE[way]}
            spellCheck={false}
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value)}
            error={error("url") || error("address")}
            hint={hook ? "Its path is kept and not shown: left as it is, it stays." : "Kept sealed; only its host is shown afterwards."}
          />
        )}
        {isSigned &&
          (wasSigned ? (
            <label className="flex items-center gap-1.5 text-muted">
              <input type="checkbox" checked={renews} onChange={(event) => setRenews(event.currentTarget.checked)} /> Make a new secret, in place of the one that is kept
            </label>
          ) : (
            <p className="text-muted">A secret to check signatures with is made, and shown once.</p>
          ))}
        {error("secret") && <p className="text-red">{error("secret")}</p>}
        <Select
          label="Told of"
          options={[
            [String(Severity.INFO), "everything"],
            [String(Severity.WARNING), `${SEVERITY_WORD[Severity.WARNING]} and worse`],
            [String(Severity.CRITICAL), "critical alone"],
          ]}
          value={String(least)}
          onChange={(event) => setLeast(Number(event.currentTarget.value))}
        />
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={hasQuiet} onChange={(event) => setHasQuiet(event.currentTarget.checked)} /> Quiet hours
        </label>
        {hasQuiet && (
          <fieldset className="grid gap-3 border-l pl-3">
            <legend className="sr-only">Quiet hours</legend>
            <div className="grid grid-cols-2 gap-3">
              <Field label="From" type="time" value={from} onChange={(event) => setFrom(event.currentTarget.value)} error={error("quiet_hours")} />
              <Field label="To" type="time" value={to} onChange={(event) => setTo(event.currentTarget.value)} />
            </div>
            <Field label="Time zone" list={zones} spellCheck={false} value={zone} onChange={(event) => setZone(event.currentTarget.value)} error={error("time_zone")} />
            <datalist id={zones}>
              {Intl.supportedValuesOf("timeZone").map((of) => (
                <option key={of} value={of} />
              ))}
            </datalist>
            <label className="flex items-center gap-1.5 text-muted">
              <input type="checkbox" checked={criticalToo} onChange={(event) => setCriticalToo(event.currentTarget.checked)} /> Critical alerts wait, too
            </label>
          </fieldset>
        )}
        <FormEnd problem={set.isError && !FIELDS.includes(said.field) ? words(set.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={set.isPending}>
            {recipient ? "Set" : "Add"}
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
