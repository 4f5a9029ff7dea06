import { useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { Role } from "../../gen/highwater/v1/admin_pb";
import { go } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { useLive, watchAgain } from "../../lib/live";
import { admin, quotas, words } from "../../lib/service";
import { hostPort, python, rust } from "../../lib/snippets";
import { Button } from "../../parts/button";
import { CopyLines, Secret } from "../../parts/copy";
import { Empty, Head } from "../../parts/page";

const LOOK_EVERY_MS = 1_000;
const LANGUAGES = ["Python", "Rust"] as const;

/** An empty project: how to connect a worker. It becomes the page with the first event. */
export default function FirstUse({ project }: { project: string }) {
  const caller = useCaller();
  const live = useLive(project);
  const [language, setLanguage] = useState<(typeof LANGUAGES)[number]>("Python");
  // A project that was never seen has nothing to watch: it is looked for, and watched from then on.
  const { data: found } = useQuery({
    queryKey: ["first", project],
    queryFn: () => quotas.listQuotas({ project, pageSize: 1 }).then(({ quotas: [first] }) => first !== undefined),
    refetchInterval: LOOK_EVERY_MS,
    retry: false,
  });
  useEffect(() => {
    if (found && live.status !== "live") watchAgain();
  }, [found, live.status]);

  if (!caller) return null;
  const own = caller.project;
  if (!caller.operates && own && own !== project) {
    return (
      <div className="pt-6">
        <Empty title={`There is no project “${project}”, or your key does not open it.`}>
          <Button className="mt-2" onClick={() => go({ project: own, rest: {} })}>
            Open {own}
          </Button>
        </Empty>
      </div>
    );
  }
  const address = new URL(location.origin);
  const needsKey = caller.keyId !== "";
  const text = language === "Python" ? python(address, project, needsKey) : rust(address, project, needsKey);
  return (
    <div className="max-w-[860px]">
      <Head title={`Connect a worker to ${project}`} lead="Nothing was reported here yet. A worker says which inference sessions it opens and closes; this page is there with its first event." />
      <ol className="grid gap-6 pt-2">
        <Step nth={1} title="A key">
          {needsKey ? <WorkerKey project={project} edits={caller.edits} /> : <p className="text-muted">None is needed: this service runs with --dev, on this machine alone.</p>}
        </Step>
        <Step nth={2} title="The address">
          <p className="mb-2 text-muted">Workers report over gRPC{address.protocol === "https:" ? ", in TLS" : ", in plain text"}.</p>
          <Secret text={hostPort(address)} label="address" />
        </Step>
        <Step nth={3} title="Ten lines">
          <div className="mb-2 flex flex-wrap items-center gap-x-4 gap-y-2">
            <div role="group" aria-label="Language" className="flex rounded-[4px] border">
              {LANGUAGES.map((name) => (
                <button key={name} type="button" aria-pressed={language === name} onClick={() => setLanguage(name)} className="h-6.5 px-2.5 text-muted hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text">
                  {name}
                </button>
              ))}
            </div>
            <span className="text-muted">
              {language === "Python" ? (
                <>
                  In <Code>clients/python</Code>: <Code>pip install grpcio grpcio-tools && python make_stubs.py</Code>, then with <Code>PYTHONPATH=.:build</Code>
                </>
              ) : (
                <>
                  With stubs that tonic makes of <Code>proto/highwater/v1</Code>
                </>
              )}
            </span>
          </div>
          <CopyLines text={text} label={`${language} lines`} />
        </Step>
      </ol>
      <p role="status" className="mt-6 text-muted">
        <span aria-hidden="true">○</span> Waiting for the first event…
      </p>
    </div>
  );
}

const Code = ({ children }: { children: ReactNode }) => <code className="font-mono text-[12px] text-text">{children}</code>;

function Step({ nth, title, children }: { nth: number; title: string; children: ReactNode }) {
  return (
    <li className="grid grid-cols-[24px_minmax(0,1fr)]">
      <span aria-hidden="true" className="text-faint">
        {nth}
      </span>
      <div>
        <h2 className="mb-1 font-semibold">{title}</h2>
        {children}
      </div>
    </li>
  );
}

/** A worker's key, made with one click; its token is shown this once. */
function WorkerKey({ project, edits }: { project: string; edits: boolean }) {
  const make = useMutation({ mutationFn: () => admin.createApiKey({ project, displayName: "first worker", role: Role.WORKER }) });
  if (make.data) {
    return (
      <>
        <p className="mb-2 text-muted">
          Shown this once. Where the worker runs: <Code>export HIGHWATER_KEY=…</Code>
        </p>
        <Secret text={make.data.token} label="worker key" />
      </>
    );
  }
  if (!edits) return <p className="text-muted">Ask who edits this project for a worker's key: yours reads alone.</p>;
  return (
    <>
      <p className="mb-2 text-muted">It reports for {project}, and can do nothing else.</p>
      <Button look="main" disabled={make.isPending} onClick={() => make.mutate()}>
        Create a worker key
      </Button>
      {make.isError && (
        <p role="alert" className="mt-2 text-red">
          No key was made. {words(make.error)}
        </p>
      )}
    </>
  );
}
