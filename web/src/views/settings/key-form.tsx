import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { Role } from "../../gen/highwater/v1/admin_pb";
import { useCaller } from "../../lib/caller";
import { admin, words } from "../../lib/service";
import { Button } from "../../parts/button";
import { Secret } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Select } from "../../parts/entry";
import { Field } from "../../parts/field";

export interface Token {
  text: string;
  title: string;
}

const ROLES: (readonly [Role, string])[] = [
  [Role.WORKER, "Worker: reports"],
  [Role.VIEWER, "Viewer: reads"],
  [Role.EDITOR, "Editor: sets limits, manages keys"],
];
const OPERATORS: (readonly [Role, string])[] = [
  [Role.OPERATOR, "Operator: everything, in every project"],
  [Role.METRICS, "Metrics: scrapes /metrics"],
];

/** Makes a key. */
export function KeyForm({ project, onClose, onMade }: { project: string; onClose: () => void; onMade: (token: Token) => void }) {
  const caller = useCaller();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>(Role.WORKER);
  const [until, setUntil] = useState("");
  const end = until ? Date.parse(until) : NaN;
  const past = Boolean(until) && !(end > Date.now());
  const make = useMutation({
    mutationFn: () => admin.createApiKey({ project, displayName: name.trim(), role, ...(until && { expireTime: timestampFromMs(end) }) }),
    onSuccess: ({ token }) => onMade({ text: token, title: name.trim() ? `The key of ${name.trim()}` : "The new key" }),
  });
  const roles = caller?.operates ? [...ROLES, ...OPERATORS] : ROLES;
  return (
    <Dialog open onClose={onClose} title={`Create a key for ${project}`}>
      <form
        noValidate
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!past) make.mutate();
        }}
      >
        <Field label="Name" placeholder="the agents" maxLength={128} autoFocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select label="Role" options={roles.map(([value, text]) => [String(value), text])} value={String(role)} onChange={(event) => setRole(Number(event.currentTarget.value))} />
        <Field
          label="Until (leave empty for no end)"
          type="datetime-local"
          value={until}
          onChange={(event) => setUntil(event.currentTarget.value)}
          error={past ? "A time in the future is needed." : ""}
        />
        <FormEnd problem={make.isError ? words(make.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={make.isPending || past}>
            Create
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}

/** A token, this once. */
export function Told({ token, onClose }: { token: Token; onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title={token.title} lead="It is shown this once: keep it where secrets are kept.">
      <Secret text={token.text} label="key" />
      <div className="mt-4 flex justify-end">
        <Button look="main" onClick={onClose}>
          I have kept it
        </Button>
      </div>
    </Dialog>
  );
}
