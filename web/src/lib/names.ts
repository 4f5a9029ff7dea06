// What meters and pools are called where the service gives no name: by the live list, and by the catalogue.
import { useQuery } from "@tanstack/react-query";

import { type CatalogueModel } from "../gen/highwater/v1/limit_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { useLive } from "./live";
import { limits } from "./service";
import { KIND_NAME, KIND_WORD, MODEL_KINDS, isPool, kindOf, targetKey } from "./target";

/** All pages of the catalogue. */
async function readCatalogue(): Promise<CatalogueModel[]> {
  const models: CatalogueModel[] = [];
  let pageToken = "";
  do {
    const answer = await limits.listCatalogue({ pageSize: 1_000, pageToken });
    models.push(...answer.models);
    pageToken = answer.nextPageToken;
  } while (pageToken);
  return models;
}

export const useCatalogue = () => useQuery({ queryKey: ["catalogue"], queryFn: readCatalogue, staleTime: 600_000 });

/** Names of targets: "ElevenLabs Turbo v2.5", "All TTS" for a pool, the id where nobody knows a name. */
export function useNames(project: string): (target: Target | undefined) => string {
  const live = useLive(project);
  const catalogue = useCatalogue();
  return (target) => {
    const of = target?.target;
    if (!of?.case) return "";
    const account = of.value.account && of.value.account !== "livekit" ? ` (${of.value.account})` : "";
    if (isPool(target) && MODEL_KINDS.some((kind) => kind === kindOf(target))) return `All ${KIND_NAME[kindOf(target)]}${account}`;
    if (!of.value.model) return `${KIND_NAME[of.value.kind]}${account}`;
    const liveName = live.byKey.get(targetKey(target))?.displayName;
    const known = catalogue.data?.find(({ kind, model }) => kind === of.value.kind && model === of.value.model)?.displayName;
    return (liveName || known || of.value.model) + account;
  };
}

/** The id of a target, to stand beneath its name: "tts cartesia/sonic-3". */
export function idOf(target: Target | undefined): string {
  const of = target?.target;
  if (!of?.case) return "";
  return [KIND_WORD[of.value.kind], of.value.model].filter(Boolean).join(" ");
}
