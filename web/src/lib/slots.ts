// Numbers of slots, as they are typed.
import { count } from "./time";

/** Most that a limit may be. */
export const MOST_SLOTS = 16_777_215;

/** What is wrong with a number of slots that was typed; empty when nothing is. */
export function slotsProblem(text: string, least: 0 | 1): string {
  const slots = Number(text);
  const isOne = text.trim() !== "" && Number.isInteger(slots) && slots >= least && slots <= MOST_SLOTS;
  return isOne ? "" : `A whole number from ${least} to ${count(MOST_SLOTS)} is needed.`;
}
