// What somebody decides of an alert: that they have seen it, and until when nothing is told of it. Each with a way back.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Alert, AlertPhase } from "../../gen/highwater/v1/alert_pb";
import { alertsChanged } from "../../lib/alert-lists";
import { alerts, tomorrowMorning } from "../../lib/alerts";
import { useAuthor } from "../../lib/author";
import { useCaller } from "../../lib/caller";
import { say } from "../../lib/said";
import { words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { fieldOfTime, moment } from "../../lib/time";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Field } from "../../parts/field";
import { Menu } from "../../parts/menu";

const HOUR_MS = 3_600_000;
/** What the service takes. */
const MOST_DAYS = 30;

/** Whether it goes on, so that there is something to decide. */
export const goesOn = ({ phase }: Alert): boolean => phase === AlertPhase.FIRING || phase === AlertPhase.PENDING;
export const snoozedUntil = ({ snoozeTime }: Alert): number | undefined => {
  const until = seconds(snoozeTime);
  return until !== undefined && until * 1_000 > Date.now() ? until : undefined;
};

function useDecisions(alert: Alert) {
  const by = useAuthor();
  const client = useQueryClient();
  const of = { project: alert.project, alert: alert.name };
  const name = alert.displayName;
  const snoozeTo = (until: number | undefined) => alerts.snoozeAlert({ ...of, setBy: by, ...(until !== undefined && { until: timestampFromMs(until * 1_000) }) });
  const changed = () => alertsChanged(client);
  const snooze = useMutation({
    mutationFn: (until: number | undefined) => snoozeTo(until),
    onSuccess: (_, until) => {
      void changed();
      const before = snoozedUntil(alert);
      say(until === undefined ? `${name} is told of again.` : `${name} is snoozed until ${moment(until)}.`, async () => {
        await snoozeTo(before);
        await changed();
        say(before === undefined ? `Undone: ${name} is told of.` : `Undone: ${name} is snoozed until ${moment(before)}.`);
      });
    },
    onError: (error) => say(`${name} was not snoozed. ${words(error)}`),
  });
  const acknowledge = useMutation({
    mutationFn: () => alerts.acknowledgeAlert({ ...of, setBy: by }),
    onSuccess: () => {
      void changed();
      say(`Acknowledged: ${name}. It is not told again, unless it gets worse.`, async () => {
        await alerts.acknowledgeAlert({ ...of, setBy: by, takeBack: true });
        await changed();
        say(`Undone: nobody has acknowledged ${name}.`);
      });
    },
    onError: (error) => say(`${name} was not acknowledged. ${words(error)}`),
  });
  return { snooze, acknowledge };
}

/** The buttons of an alert that goes on; side by side where there is room for them. */
export function Act({ alert, isWide = false }: { alert: Alert; isWide?: boolean }) {
  const caller = useCaller();
  const { snooze, acknowledge } = useDecisions(alert);
  const [chooses, setChooses] = useState(false);
  // What would be refused is not offered.
  if (!caller?.edits || !goesOn(alert)) return null;
  const now = Date.now();
  const snoozed = snoozedUntil(alert);
  const to = (at: number) => snooze.mutate(Math.floor(at / 1_000));
  const choices = [
    { key: "hour", label: "1 hour", onSelect: () => to(now + HOUR_MS) },
    { key: "morning", label: "Until tomorrow 8:00", onSelect: () => to(tomorrowMorning(now)) },
    { key: "until", label: "Until…", onSelect: () => setChooses(true) },
    ...(snoozed === undefined ? [] : [{ key: "end", label: "End the snooze", onSelect: () => snooze.mutate(undefined) }]),
  ];
  const { displayName: name } = alert;
  return (
    <span className={`inline-flex items-center gap-1 ${isWide ? "flex-wrap gap-y-2" : ""}`}>
      {!alert.acknowledgedBy && alert.phase === AlertPhase.FIRING && (
        <Button look={isWide ? "main" : "plain"} aria-label={`Acknowledge ${name}`} disabled={acknowledge.isPending} onClick={() => acknowledge.mutate()}>
          Acknowledge
        </Button>
      )}
      {isWide ? (
        <span role="group" aria-label={`Snooze ${name}`} className="inline-flex flex-wrap items-center gap-1">
          <span className="pl-2 text-muted">Snooze</span>
          {choices.map(({ key, label, onSelect }) => (
            <Button key={key} disabled={snooze.isPending} onClick={onSelect}>
              {label}
            </Button>
          ))}
        </span>
      ) : (
        <Menu label={`Snooze ${name}`} choices={choices}>
          <span className="text-muted">Snooze</span>
        </Menu>
      )}
      {chooses && (
        <SnoozeDialog
          name={name}
          onClose={() => setChooses(false)}
          onChosen={(until) => {
            setChooses(false);
            snooze.mutate(until);
          }}
        />
      )}
    </span>
  );
}

function SnoozeDialog({ name, onClose, onChosen }: { name: string; onClose: () => void; onChosen: (until: number) => void }) {
  const [until, setUntil] = useState(() => fieldOfTime(Date.now() + 4 * HOUR_MS));
  const [tried, setTried] = useState(false);
  const at = Date.parse(until);
  const mistake = !(at > Date.now()) ? "A time in the future is needed." : at > Date.now() + MOST_DAYS * 24 * HOUR_MS ? `At most ${MOST_DAYS} days from now.` : "";
  return (
    <Dialog open onClose={onClose} title={`Snooze ${name}`} lead="Nothing is told of it until then. What still fires then is told.">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (!mistake) onChosen(Math.floor(at / 1_000));
        }}
      >
        <Field label="Until" type="datetime-local" value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={tried ? mistake : ""} />
        <FormEnd>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit">
            Snooze
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
