// Who is told, and whether messages reach them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Recipient } from "../../gen/highwater/v1/alert_pb";
import { SEVERITY_WORD, alerts } from "../../lib/alerts";
import { useCaller } from "../../lib/caller";
import { say } from "../../lib/said";
import { words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { Button } from "../../parts/button";
import { Secret } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Empty, Part, Unread } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { Trail } from "../settings/audit";
import { FORM_NAME, RecipientForm, clockOf } from "./recipient-form";

/** What came of the test of a recipient. */
interface Tested {
  taken: boolean;
  answer: string;
}

export function Recipients({ project }: { project: string }) {
  const caller = useCaller();
  const client = useQueryClient();
  const [editing, setEditing] = useState<Recipient | "new">();
  const [removing, setRemoving] = useState<Recipient>();
  const [secret, setSecret] = useState<{ name: string; text: string }>();
  const [tested, setTested] = useState<ReadonlyMap<string, Tested>>(new Map());
  const { data, error, isPending, isError, refetch } = useQuery({
    queryKey: ["recipients", project],
    queryFn: () => alerts.listRecipients({ project }),
    enabled: Boolean(caller?.edits),
    refetchInterval: 15_000,
  });
  const changed = async () => {
    await Promise.all([client.invalidateQueries({ queryKey: ["recipients", project] }), client.invalidateQueries({ queryKey: ["audit", project] })]);
  };
  const turn = useMutation({
    mutationFn: (recipient: Recipient) => alerts.setRecipient({ project, recipient: { ...recipient, enabled: !recipient.enabled } }),
    onSuccess: (_, recipient) => {
      void changed();
      say(`${recipient.name} is ${recipient.enabled ? "no longer told" : "told from now on"}.`, async () => {
        await alerts.setRecipient({ project, recipient });
        await changed();
        say(`Undone: ${recipient.name} is as before.`);
      });
    },
    onError: (problem, { name }) => say(`${name} was not changed. ${words(problem)}`),
  });
  const test = useMutation({
    mutationFn: ({ name }: Recipient) => alerts.sendTestMessage({ project, recipientName: name }),
    onSuccess: ({ taken, answer }, { name }) => setTested(new Map(tested).set(name, { taken, answer })),
    onError: (problem, { name }) => setTested(new Map(tested).set(name, { taken: false, answer: words(problem) })),
    onSettled: () => void changed(),
  });
  if (!caller?.edits) return <div className="pt-5"><Empty title="Who is told is for editors.">Addresses of people are shown to who may change them.</Empty></div>;

  const columns: Column<Recipient>[] = [
    {
      key: "name",
      head: "Name",
      names: true,
      cell: (recipient) => (
        <>
          <span className={`font-medium ${recipient.enabled ? "" : "text-muted"}`}>{recipient.name}</span>
          {recipient.configured && (
            <span className="ml-2 font-normal text-muted" title="Named by the configuration of the service: they can't be changed here. A recipient of the project takes their place.">
              by the configuration
            </span>
          )}
        </>
      ),
    },
    {
      key: "where",
      head: "Where",
      cell: ({ address }) =>
        address.case === "webhook" ? (
          <>
            {FORM_NAME[address.value.form]} <span className="text-muted">{address.value.url}</span>
          </>
        ) : (
          (address.value ?? "")
        ),
    },
    { key: "from", head: "Told of", cell: ({ leastSeverity }) => (SEVERITY_WORD[leastSeverity] === "critical" ? "critical alone" : `${SEVERITY_WORD[leastSeverity] || "info"} and worse`) },
    {
      key: "quiet",
      head: "Quiet hours",
      cell: ({ quietHours }) =>
        quietHours ? (
          <span title={quietHours.criticalToo ? "Critical alerts wait, too" : "Critical alerts go through"}>
            {clockOf(quietHours.fromMinute)}–{clockOf(quietHours.toMinute)} <span className="text-muted">{quietHours.timeZone}{quietHours.criticalToo && ", critical too"}</span>
          </span>
        ) : (
          <span className="text-muted">none</span>
        ),
    },
    { key: "state", head: "State", cell: (recipient) => <Standing recipient={recipient} /> },
    {
      key: "on",
      head: "On",
      cell: (recipient) =>
        recipient.configured ? (
          <span className="text-muted">on</span>
        ) : (
          <input type="checkbox" role="switch" className="align-middle" aria-label={`Tell ${recipient.name}`} checked={recipient.enabled} disabled={turn.isPending} onChange={() => turn.mutate(recipient)} />
        ),
    },
    {
      key: "do",
      head: "",
      end: true,
      cell: (recipient) => (
        <span className="inline-flex">
          <Button look="quiet" aria-label={`Send ${recipient.name} a test`} disabled={test.isPending} onClick={() => test.mutate(recipient)}>
            {test.isPending && test.variables.name === recipient.name ? "Sending…" : "Test"}
          </Button>
          {!recipient.configured && (
            <>
              <Button look="quiet" aria-label={`Change ${recipient.name}`} onClick={() => setEditing(recipient)}>
                Change
              </Button>
              <Button look="quiet" aria-label={`Remove ${recipient.name}`} onClick={() => setRemoving(recipient)}>
                Remove
              </Button>
            </>
          )}
        </span>
      ),
    },
  ];
  const rows = data?.recipients ?? [];
  const hasMailbox = rows.some(({ address }) => address.case === "mailbox");
  return (
    <>
      <Part
        title="Recipients"
        lead="Who is told when something comes near its limit: by mail, or by a webhook."
        actions={
          <Button look="main" onClick={() => setEditing("new")}>
            Add a recipient
          </Button>
        }
      >
        {data && !data.mailConfigured && (
          <p role="status" className={`mb-2 rounded-[4px] px-3 py-2 ${hasMailbox ? "bg-amber-tint text-amber" : "border border-dashed text-muted"}`}>
            No mail server is configured, so that mails wait: who runs the service names one in <code className="font-mono text-[12px]">[smtp]</code>. Webhooks need none.
          </p>
        )}
        {isError && !data ? (
          <Unread what="Recipients" project={project} error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <SkeletonRows rows={3} />
        ) : rows.length === 0 ? (
          <Empty title="Nobody is told yet.">
            <p>Alerts are decided, and shown here. Name a mailbox or a webhook, and send it a test.</p>
            <Button className="mt-3" onClick={() => setEditing("new")}>
              Add a recipient
            </Button>
          </Empty>
        ) : (
          <Table
            label="Recipients"
            columns={columns}
            rows={rows}
            keyOf={({ name }) => name}
            beneath={({ name }) => {
              const of = tested.get(name);
              return of && <Answer of={of} name={name} />;
            }}
          />
        )}
      </Part>
      <Part title="What was changed">
        <Trail project={project} of="alert.recipient" />
      </Part>
      {editing && (
        <RecipientForm
          project={project}
          recipient={editing === "new" ? undefined : editing}
          taken={rows.map(({ name }) => name)}
          mailConfigured={data?.mailConfigured ?? true}
          onClose={() => setEditing(undefined)}
          onSet={(name, made) => {
            setEditing(undefined);
            void changed();
            if (made) setSecret({ name, text: made });
            else say(`${name} is told from now on. Send a test to see that it arrives.`);
          }}
        />
      )}
      {removing && (
        <Remove
          project={project}
          recipient={removing}
          onClose={() => setRemoving(undefined)}
          onDone={() => {
            setRemoving(undefined);
            void changed();
          }}
        />
      )}
      {secret && (
        <Dialog open onClose={() => setSecret(undefined)} title={`The secret of ${secret.name}`} lead="It is shown this once: whoever receives the webhook checks signatures with it.">
          <Secret text={secret.text} label="secret" />
          <div className="mt-4 flex justify-end">
            <Button look="main" onClick={() => setSecret(undefined)}>
              I have kept it
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function Standing({ recipient: { enabled, unsubscribeTime, trouble } }: { recipient: Recipient }) {
  if (unsubscribeTime)
    return (
      <span className="text-amber">
        unsubscribed, <When at={seconds(unsubscribeTime) ?? 0} />
      </span>
    );
  if (trouble)
    return (
      <span className="text-red">
        <span aria-hidden="true">✕</span> <span className="font-mono text-[12px] wrap-anywhere">{trouble}</span>
      </span>
    );
  return <span className="text-muted">{enabled ? "good" : "off"}</span>;
}

/** What the server said, word for word. */
function Answer({ of, name }: { of: Tested; name: string }) {
  return (
    <p role="status" aria-label={`Answer to the test of ${name}`} className="pl-2">
      <span className={of.taken ? "" : "text-red"}>
        <span aria-hidden="true">{of.taken ? "●" : "✕"}</span> The test was {of.taken ? "taken" : "not taken"}:
      </span>{" "}
      <span className="font-mono text-[12px] wrap-anywhere">{of.answer || "no word"}</span>
    </p>
  );
}

function Remove({ project, recipient, onClose, onDone }: { project: string; recipient: Recipient; onClose: () => void; onDone: () => void }) {
  const isSecret = recipient.address.case === "webhook";
  const remove = useMutation({
    mutationFn: () => alerts.deleteRecipient({ project, recipientName: recipient.name }),
    onSuccess: () => {
      say(`Removed: ${recipient.name}.`);
      onDone();
    },
  });
  return (
    <Dialog open onClose={onClose} title={`Remove ${recipient.name}?`} lead={`What waits for them is given up${isSecret ? ", and the address and secret of the webhook are forgotten" : ""}. That can’t be undone.`}>
      <FormEnd problem={remove.isError ? words(remove.error) : ""}>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
          Remove
        </Button>
      </FormEnd>
    </Dialog>
  );
}

