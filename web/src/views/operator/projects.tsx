import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Project } from "../../gen/highwater/v1/admin_pb";
import { go } from "../../lib/address";
import { say } from "../../lib/said";
import { admin, words } from "../../lib/service";
import { seconds } from "../../lib/target";
import { count, many } from "../../lib/time";
import { Button } from "../../parts/button";
import { By } from "../../parts/by";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Field } from "../../parts/field";
import { Empty, Part } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";
import { When } from "../../parts/when";

/** The projects of the service. */
export function Projects({ current }: { current: string }) {
  const client = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [deleting, setDeleting] = useState<Project>();
  const { data, error, isPending, isError, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["admin-projects"],
    queryFn: ({ pageParam }) => admin.listProjects({ pageToken: pageParam }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const changed = () => {
    void client.invalidateQueries({ queryKey: ["admin-projects"] });
    void client.invalidateQueries({ queryKey: ["projects"] });
  };
  const rows = data?.pages.flatMap((page) => page.projects).filter(({ name }) => name !== "-") ?? [];
  const columns: Column<Project>[] = [
    {
      key: "name",
      head: "Project",
      names: true,
      cell: ({ name }) => (
        <button type="button" className="text-left hover:underline" onClick={() => go({ project: name, view: "quotas" })}>
          {name}
        </button>
      ),
    },
    { key: "meters", half: true, head: "Meters and pools", end: true, cell: ({ keyCount }) => count(keyCount) },
    { key: "keys", half: true, head: "Keys", end: true, cell: ({ apiKeyCount }) => count(apiKeyCount) },
    { key: "made", head: "Made", cell: ({ createTime }) => (createTime ? <When at={seconds(createTime) ?? 0} /> : <span className="text-muted">by its first report</span>) },
    { key: "by", head: "By", cell: ({ createdBy, createdByName }) => (createdBy ? <By id={createdBy} name={createdByName} /> : <span className="text-muted">–</span>) },
    {
      key: "do",
      head: "",
      end: true,
      cell: (project) => (
        <Button look="quiet" aria-label={`Delete ${project.name}`} onClick={() => setDeleting(project)}>
          Delete
        </Button>
      ),
    },
  ];
  return (
    <Part
      title="Projects"
      actions={
        <Button look="main" onClick={() => setCreating(true)}>
          Create a project
        </Button>
      }
    >
      {isError && !data ? (
        <Failed what="Projects" error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <SkeletonRows rows={3} />
      ) : rows.length === 0 ? (
        <Empty title="There is no project yet.">A project is there with its first report, or when it is made here.</Empty>
      ) : (
        <Table label="Projects" columns={columns} rows={rows} keyOf={({ name }) => name} />
      )}
      {hasNextPage && (
        <Button className="mt-3" onClick={() => void fetchNextPage()}>
          Show more
        </Button>
      )}
      {creating && <Create onClose={() => setCreating(false)} onDone={changed} />}
      {deleting && (
        <Delete
          project={deleting}
          onClose={() => setDeleting(undefined)}
          onDone={() => {
            changed();
            // Its address is nobody's now.
            if (deleting.name === current) location.assign("/operator");
          }}
        />
      )}
    </Part>
  );
}

function Create({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const valid = /^[a-z0-9-]{1,64}$/.test(name) && name !== "-";
  const [tried, setTried] = useState(false);
  const make = useMutation({
    mutationFn: () => admin.createProject({ project: name }),
    onSuccess: () => {
      say(`Made: ${name}.`);
      onDone();
      onClose();
    },
  });
  return (
    <Dialog open onClose={onClose} title="Create a project" lead="A project has its own meters, limits and keys.">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (valid) make.mutate();
        }}
      >
        <Field label="Name" autoFocus maxLength={64} value={name} onChange={(event) => setName(event.currentTarget.value)} error={tried && !valid ? "1 to 64 of a-z, 0-9 and -." : ""} hint="1 to 64 of a-z, 0-9 and -." />
        <FormEnd problem={make.isError ? words(make.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={make.isPending}>
            Create
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}

/** Deletes with the name typed: it can't be undone. */
function Delete({ project: { name, keyCount, apiKeyCount }, onClose, onDone }: { project: Project; onClose: () => void; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => admin.deleteProject({ project: name }),
    onSuccess: ({ apiKeys, keys, hours }) => {
      say(`Deleted: ${name}, with ${many(keys, "meter or pool", "meters and pools")}, ${many(apiKeys, "key")} and ${many(hours, "hour")} of history.`);
      onDone();
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Delete ${name}?`}
      lead={`With ${many(keyCount, "meter or pool", "meters and pools")}, their limits and history, ${many(apiKeyCount, "key")}, and what is live. That can't be undone; the audit trail stays.`}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name) remove.mutate();
        }}
      >
        <Field label={`Type ${name} to delete it`} autoFocus autoComplete="off" spellCheck={false} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} />
        <FormEnd problem={remove.isError ? words(remove.error) : ""}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" type="submit" disabled={typed !== name || remove.isPending}>
            Delete
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
