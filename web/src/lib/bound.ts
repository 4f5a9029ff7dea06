// How a peak is to be read: the sign before it, as the command line has it, and the words for it.
import { Bound } from "../gen/highwater/v1/types_pb";

const SIGN: Record<Bound, string> = { [Bound.UNSPECIFIED]: "", [Bound.EXACT]: "", [Bound.AT_LEAST]: "≥", [Bound.AT_MOST]: "≤", [Bound.ABOUT]: "≈" };
const WORD: Record<Bound, string> = { [Bound.UNSPECIFIED]: "", [Bound.EXACT]: "", [Bound.AT_LEAST]: "at least ", [Bound.AT_MOST]: "at most ", [Bound.ABOUT]: "about " };
const WHY: Record<Bound, string> = {
  [Bound.UNSPECIFIED]: "",
  [Bound.EXACT]: "",
  [Bound.AT_LEAST]: "not all was known then",
  [Bound.AT_MOST]: "late reports raised it",
  [Bound.ABOUT]: "not all was known then, and late reports raised it",
};

/** How the peak of a point is to be read. */
export const boundOf = (partial: boolean, late: boolean): Bound => (partial ? (late ? Bound.ABOUT : Bound.AT_LEAST) : late ? Bound.AT_MOST : Bound.EXACT);

/** What stands before a peak; nothing where it is exact. */
export const signOf = (bound: Bound): string => SIGN[bound] ?? "";

/** The same in a word, with its space: "at least ". */
export const boundWord = (bound: Bound): string => WORD[bound] ?? "";

/** Why it is not exact. */
export const boundWhy = (bound: Bound): string => WHY[bound] ?? "";

/** "at least 9: not all was known then"; nothing where it is exact. */
export const boundSaid = (bound: Bound, level: string): string => (signOf(bound) ? `${WORD[bound]}${level}: ${WHY[bound]}` : "");
