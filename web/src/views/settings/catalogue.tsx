import { create } from "@bufbuild/protobuf";

import { type CatalogueModel } from "../../gen/highwater/v1/limit_pb";
import { TargetSchema, Unit } from "../../gen/highwater/v1/types_pb";
import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { useLimits } from "../../lib/limits";
import { useCatalogue } from "../../lib/names";
import { say } from "../../lib/said";
import { words } from "../../lib/service";
import { KIND_NAME } from "../../lib/target";
import { count } from "../../lib/time";
import { Button } from "../../parts/button";
import { Select } from "../../parts/entry";
import { Failed } from "../../parts/failed";
import { Source } from "../../parts/source";
import { Empty, Part } from "../../parts/page";
import { SkeletonRows } from "../../parts/skeleton";
import { type Column, Table } from "../../parts/table";

const UNIT: Record<Unit, string> = { [Unit.UNSPECIFIED]: "", [Unit.STREAM]: "streams", [Unit.CONNECTION]: "connections", [Unit.GENERATION]: "generations" };
const ACCOUNTS = [
  ["direct", "For your own account (direct)"],
  ["livekit", "For LiveKit's gateway (livekit)"],
] as const;

/** The models that are known, and the tiers of their providers, each a click. */
export function Catalogue({ project }: { project: string }) {
  const { filter, rest } = useAddress();
  const caller = useCaller();
  const { set } = useLimits(project);
  const { data, error, isPending, isError, refetch } = useCatalogue();
  const account = rest["account"] === "livekit" ? "livekit" : "direct";
  const wanted = filter.trim().toLowerCase();
  const rows = (data ?? []).filter(({ model, displayName, provider, kind }) => `${model} ${displayName} ${provider} ${KIND_NAME[kind]}`.toLowerCase().includes(wanted)).sort((a, b) => Number(b.tiers.length > 0) - Number(a.tiers.length > 0));
  const choose = ({ kind, model, displayName }: CatalogueModel, tier: string, slots: number) => {
    const target = create(TargetSchema, { target: { case: "meter", value: { kind, model, account } } });
    set.mutate({ target, name: `${displayName}${account === "direct" ? " (direct)" : ""}`, slots, reason: `tier ${tier}` }, { onError: (problem) => say(`The limit was not set. ${words(problem)}`) });
  };
  const columns: Column<CatalogueModel>[] = [
    { key: "provider", head: "Provider", cell: ({ provider }) => provider },
    { key: "model", head: "Model", names: true, cell: ({ displayName, model }) => <span title={model}>{displayName || model}</span> },
    { key: "kind", half: true, head: "Kind", cell: ({ kind }) => KIND_NAME[kind] },
    { key: "unit", half: true, head: "Counts", cell: ({ unit }) => UNIT[unit] },
    {
      key: "tiers",
      head: "Tiers",
      cell: (row) =>
        row.tiers.length === 0 ? (
          <span className="text-muted">none known</span>
        ) : (
          <span className="inline-flex flex-wrap gap-1">
            {row.tiers.map(({ name, slots }) =>
              caller?.edits ? (
                <Button key={name} aria-label={`Set the limit of ${row.displayName} to ${count(slots)}, tier ${name}`} disabled={set.isPending} onClick={() => choose(row, name, slots)}>
                  {name.replaceAll("_", " ")} <span className="font-medium">{count(slots)}</span>
                </Button>
              ) : (
                <span key={name} className="rounded-[4px] border px-2">
                  {name.replaceAll("_", " ")} {count(slots)}
                </span>
              ),
            )}
          </span>
        ),
    },
    { key: "source", head: "Documented", cell: ({ limitUrl }) => <Source href={limitUrl} /> },
  ];
  return (
    <Part
      title="Catalogue"
      lead={`The models and providers that are known. ${caller?.edits ? "A tier sets its limit with one click, and can be undone. " : ""}Providers change their tiers: look at the source before you rely on one.`}
      actions={
        <>
          {caller?.edits && (
            <Select label="Limits are for" hideLabel options={ACCOUNTS} value={account} onChange={(event) => go({ rest: { ...rest, account: event.currentTarget.value } }, { replace: true })} className="w-64" />
          )}
          <input
            type="search"
            aria-label="Find a model"
            placeholder="Find a model"
            value={filter}
            onChange={(event) => go({ filter: event.currentTarget.value }, { replace: true })}
            className="h-8 w-44 rounded-[4px] border bg-ground px-2"
          />
        </>
      }
    >
      {isError ? (
        <Failed what="The catalogue" error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <SkeletonRows rows={8} />
      ) : rows.length === 0 ? (
        <Empty title="No model matches.">A model that is not in the catalogue is counted all the same, under its id.</Empty>
      ) : (
        <Table label="Catalogue" columns={columns} rows={rows} keyOf={({ kind, model }) => `${kind}/${model}`} />
      )}
    </Part>
  );
}
