// Chains: which models may take each other's sessions, which way new ones go now, and what is said of it by hand.
import { Code, ConnectError } from "@connectrpc/connect";
import { useState } from "react";

import { useCaller } from "../../../lib/caller";
import { type Chain, useChains } from "../../../lib/chains";
import { useChainRoutes } from "../../../lib/routes";
import { Button } from "../../../parts/button";
import { Empty, Part, Unread } from "../../../parts/page";
import RoutingReader from "../../../parts/routing";
import { SkeletonRows } from "../../../parts/skeleton";
import { Trail } from "../audit";
import { ChainCard } from "./card";
import { ChainForm } from "./form";

export function Chains({ project }: { project: string }) {
  const caller = useCaller();
  const routes = useChainRoutes();
  const [editing, setEditing] = useState<Chain | "new">();
  const { data, error, isPending, isError, refetch } = useChains(project);
  const edits = caller?.edits ?? false;
  const make = (
    <Button look="main" onClick={() => setEditing("new")}>
      Make a chain
    </Button>
  );
  // A project that is the caller's to begin is begun by its first chain.
  const isNew = isError && !data && ConnectError.from(error).code === Code.NotFound && (caller?.operates || caller?.project === project);
  const isEmpty = isNew || data?.length === 0;
  return (
    <>
      <RoutingReader project={project} />
      <Part
        title="Chains"
        lead="Models that may take each other’s sessions, the primary first. When one fills or its provider fails, new sessions go to the next; those that run stay where they are."
        actions={edits && !isEmpty && make}
      >
        {isError && !data && !isNew ? (
          <Unread what="Chains" project={project} error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <SkeletonRows rows={6} />
        ) : isEmpty || !data ? (
          <Empty title="There is no chain yet.">
            <p>
              A chain is a list of models of one kind: a primary, and what its sessions fall back to. Workers ask for a slot by the name of the chain; the service
              gives them the model that has room and whose provider is up, and tells all of them when that changes.
            </p>
            {edits && <div className="mt-3">{make}</div>}
          </Empty>
        ) : (
          <ul className="grid gap-4 pt-2">
            {data.map((chain) => (
              <li key={chain.name}>
                <ChainCard project={project} chain={chain} route={routes.get(chain.name)} edits={edits} onEdit={() => setEditing(chain)} />
              </li>
            ))}
          </ul>
        )}
      </Part>
      {edits && (
        <Part title="What was changed">
          <Trail project={project} of="chain." />
        </Part>
      )}
      {editing && <ChainForm key={editing === "new" ? "" : editing.name} project={project} taken={(data ?? []).map(({ name }) => name)} {...(editing !== "new" && { chain: editing })} onClose={() => setEditing(undefined)} />}
    </>
  );
}
