// A chain as it is typed: its models in their order, and when they are left.
import { type Chain } from "../gen/highwater/v1/chain_pb";
import { type Meter } from "../gen/highwater/v1/types_pb";
import { type Kind } from "../gen/highwater/v1/types_pb";
import { spanOf, spanWords } from "./spans";

export const MOST_MODELS = 8;

export interface Draft {
  name: string;
  kind: Kind;
  models: Meter[];
  thresholdsOff: boolean;
  /** As typed, in percent; empty for the service's own choice. */
  fill: string;
  return: string;
  /** As typed: "30 s". */
  dwell: string;
}

/** What the service takes where nothing is typed. */
const DEFAULTS = { fill: "90", return: "70", dwell: "30 s" };

export const newDraft = (kind: Kind): Draft => ({ name: "", kind, models: [], thresholdsOff: false, ...DEFAULTS });

export const draftOf = (chain: Chain): Draft => ({
  name: chain.name,
  kind: chain.kind,
  models: [...chain.models],
  thresholdsOff: chain.thresholdsOff,
  fill: chain.thresholdsOff ? DEFAULTS.fill : String(chain.fillPercent),
  return: chain.thresholdsOff ? DEFAULTS.return : String(chain.returnPercent),
  dwell: spanWords(Number(chain.dwell?.seconds ?? 30n)),
});

/** A list with one of it at another place. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const one = list[from];
  if (one === undefined || to < 0 || to >= list.length) return [...list];
  return list.toSpliced(from, 1).toSpliced(to, 0, one);
}

/** A percentage as it was typed: 0 for none, which the service fills in; what is no number at all is for the service to refuse. */
const percentOf = (text: string): number => (/^\d{1,4}$/.test(text.trim()) ? Number(text) : text.trim() === "" ? 0 : 4_000_000);

/** The request that a draft is, but for its project and reason. */
export const requestOf = (draft: Draft) => {
  const dwell = spanOf(draft.dwell);
  return {
    name: draft.name.trim(),
    kind: draft.kind,
    models: draft.models,
    thresholdsOff: draft.thresholdsOff,
    ...(!draft.thresholdsOff && { fillPercent: percentOf(draft.fill), returnPercent: percentOf(draft.return) }),
    ...(dwell !== undefined && draft.dwell.trim() !== "" && { dwell: { seconds: BigInt(dwell), nanos: 0 } }),
  };
};

/** What can't be sent at all; all else is for the service to say. */
export const dwellProblem = (text: string): string => (text.trim() === "" || spanOf(text) !== undefined ? "" : "A time is needed, such as 30 s or 2 min.");

/** The chain as a request that sets it again. */
export const requestOfChain = ({ name, kind, models, fillPercent, returnPercent, thresholdsOff, dwell }: Chain) => ({
  name,
  kind,
  models,
  thresholdsOff,
  ...(!thresholdsOff && { fillPercent, returnPercent }),
  ...(dwell && { dwell }),
});
