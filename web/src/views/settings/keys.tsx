import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type ApiKey } from "../../gen/highwater/v1/admin_pb";
import { useCaller } from "../../lib/caller";
import { say } from "../../lib/said";
import { admin, words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd, Select } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Empty, Part } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";
import { ROLE_WORD } from "../signin/caller-menu";
import { Trail } from "./audit";
import { KeyForm, Told, type Token } from "./key-form";

const OVERLAPS = [
  ["86400", "a day"],
  ["604800", "a week"],
  ["3600", "an hour"],
  ["0", "not at all"],
] as const;

/** Whether a key is good, at a moment in seconds. */
function standing({ revokeTime, expireTime, startTime }: ApiKey, now: number): string {
  if (revokeTime && (seconds(revokeTime) ?? 0) <= now) return "revoked";
  if (expireTime && (seconds(expireTime) ?? 0) <= now) return "ended";
  if (startTime && (seconds(startTime) ?? 0) > now) return "not yet";
  return "good";
}

/** Who may do what in the project. */
export function Keys({ project }: { project: string }) {
  const caller = useCaller();
  const client = useQueryClient();
  const [ended, setEnded] = useState(false);
  const [creating, setCreating] = useState(false);
  const [rotating, setRotating] = useState<ApiKey>();
  const [revoking, setRevoking] = useState<ApiKey>();
  const [token, setToken] = useState<Token>();
  const { data, error, isPending, isError, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["keys", project, ended],
    queryFn: ({ pageParam }) => admin.listApiKeys({ project, showEnded: ended, pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const changed = () => {
    void client.invalidateQueries({ queryKey: ["keys", project] });
    void client.invalidateQueries({ queryKey: ["audit", project] });
  };
  const rows = data?.pages.flatMap(({ apiKeys }) => apiKeys) ?? [];
  const now = Date.now() / 1_000;
  const called = ({ displayName, id }: ApiKey) => displayName || id;
  const columns: Column<ApiKey>[] = [
    {
      key: "name",
      head: "Name",
      names: true,
      cell: (key) => (
        <>
          {called(key)}
          {key.id === caller?.keyId && <span className="ml-2 font-normal text-muted">yours</span>}
        </>
      ),
    },
    { key: "id", head: "Id", cell: ({ id, livekit }) => <span className="font-mono text-[12px]">{livekit ? `${id} (LiveKit)` : id}</span> },
    { key: "role", half: true, head: "Role", cell: ({ role }) => ROLE_WORD[role] },
    { key: "state", half: true, head: "State", cell: (key) => <span className={standing(key, now) === "good" ? "text-muted" : "text-amber"}>{standing(key, now)}</span> },
    { key: "used", half: true, head: "Last used", cell: ({ lastUseTime }) => (lastUseTime ? <When at={seconds(lastUseTime) ?? 0} /> : <span className="text-muted">never</span>) },
    { key: "made", half: true, head: "Made", cell: ({ createTime }) => <When at={seconds(createTime) ?? 0} /> },
    { key: "until", head: "Until", cell: ({ expireTime }) => (expireTime ? <When at={seconds(expireTime) ?? 0} /> : <span className="text-muted">no end</span>) },
    {
      key: "do",
      head: "",
      end: true,
      cell: (key) =>
        standing(key, now) === "good" && (
          <span className="inline-flex">
            {!key.livekit && !key.replacedBy && (
              <Button look="quiet" aria-label={`Rotate ${called(key)}`} onClick={() => setRotating(key)}>
                Rotate
              </Button>
            )}
            <Button look="quiet" aria-label={`Revoke ${called(key)}`} onClick={() => setRevoking(key)}>
              Revoke
            </Button>
          </span>
        ),
    },
  ];
  return (
    <>
      <Part
        title="Keys"
        lead="A worker's key reports, a viewer's reads, an editor's sets limits and manages keys. Secrets are kept hashed: a key is shown once, when it is made."
        actions={
          <>
            <label className="flex items-center gap-1.5 text-muted">
              <input type="checkbox" checked={ended} onChange={(event) => setEnded(event.currentTarget.checked)} /> Ended ones too
            </label>
            <Button look="main" onClick={() => setCreating(true)}>
              Create a key
            </Button>
          </>
        }
      >
        {isError && !data ? (
          <Failed what="Keys" error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <SkeletonRows rows={4} />
        ) : rows.length === 0 ? (
          <Empty title="There is no key yet.">A worker needs one to report, and so does who reads from elsewhere.</Empty>
        ) : (
          <>
            <Table label="Keys" columns={columns} rows={rows} keyOf={({ id }) => id} />
            {hasNextPage && (
              <Button className="mt-3" onClick={() => void fetchNextPage()}>
                Show more
              </Button>
            )}
          </>
        )}
      </Part>
      <Part title="What was changed">
        <Trail project={project} of="key." />
      </Part>
      {creating && (
        <KeyForm
          project={project}
          onClose={() => setCreating(false)}
          onMade={(made) => {
            setCreating(false);
            setToken(made);
            changed();
          }}
        />
      )}
      {rotating && (
        <Rotate
          apiKey={rotating}
          name={called(rotating)}
          onClose={() => setRotating(undefined)}
          onMade={(made) => {
            setRotating(undefined);
            setToken(made);
            changed();
          }}
        />
      )}
      {revoking && <Revoke apiKey={revoking} name={called(revoking)} isOwn={revoking.id === caller?.keyId} onClose={() => setRevoking(undefined)} onDone={changed} />}
      {token && <Told token={token} onClose={() => setToken(undefined)} />}
    </>
  );
}

function Rotate({ apiKey, name, onClose, onMade }: { apiKey: ApiKey; name: string; onClose: () => void; onMade: (token: Token) => void }) {
  const [overlap, setOverlap] = useState<string>(OVERLAPS[0][0]);
  const rotate = useMutation({
    mutationFn: () => admin.rotateApiKey({ id: apiKey.id, overlap: { seconds: BigInt(overlap), nanos: 0 } }),
    onSuccess: ({ token }) => onMade({ text: token, title: `The new key of ${name}` }),
  });
  return (
    <Dialog open onClose={onClose} title={`Rotate ${name}?`} lead="A new key of the same name and role takes its place.">
      <Select label="The old key stays good for" options={OVERLAPS} value={overlap} onChange={(event) => setOverlap(event.currentTarget.value)} />
      <FormEnd problem={rotate.isError ? words(rotate.error) : ""}>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="main" disabled={rotate.isPending} onClick={() => rotate.mutate()}>
          Rotate
        </Button>
      </FormEnd>
    </Dialog>
  );
}

function Revoke({ apiKey, name, isOwn, onClose, onDone }: { apiKey: ApiKey; name: string; isOwn: boolean; onClose: () => void; onDone: () => void }) {
  const revoke = useMutation({
    mutationFn: () => admin.revokeApiKey({ id: apiKey.id }),
    onSuccess: () => {
      say(`Revoked: ${name}.`);
      onDone();
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Revoke ${name}?`}
      lead={`It ends now, and streams that it opened within 5 s. That can’t be undone.${isOwn ? " It is the key that you are signed in with." : ""}`}
    >
      <FormEnd problem={revoke.isError ? words(revoke.error) : ""}>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke
        </Button>
      </FormEnd>
    </Dialog>
  );
}
