// What limits do in a project: they are watched, or who asks for more is refused.
import { type Enforcement, EnforcementMode as Mode } from "../gen/highwater/v1/limit_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { count } from "./time";

/** More than so many names are counted. */
const MOST_NAMES = 3;

const listed = (names: readonly string[]): string => {
  const said = names.slice(0, names.length > MOST_NAMES ? MOST_NAMES - 1 : MOST_NAMES);
  const rest = names.length - said.length;
  const all = rest > 0 ? [...said, `${count(rest)} more`] : said;
  return all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${all.at(-1)}` : (all[0] ?? "");
};

/** What is true of a project's limits, in a sentence: its own choice, and what is chosen otherwise for kinds and models. */
export function enforcementWords(choices: readonly Pick<Enforcement, "target" | "mode">[], nameOf: (target: Target) => string): string {
  const enforces = choices.some(({ target, mode }) => !target && mode === Mode.ENFORCE);
  const others = choices.flatMap(({ target, mode }) => (target && (mode === Mode.ENFORCE) !== enforces ? [nameOf(target)] : [])).toSorted();
  if (enforces) return `Limits are enforced: who asks for a slot beyond one is refused, or given another model.${others.length > 0 ? ` Those of ${listed(others)} are watched alone.` : ""}`;
  if (others.length > 0) return `Limits of ${listed(others)} are enforced: who asks for a slot beyond one is refused, or given another model. Others are watched.`;
  return "Limits are watched: nobody is refused for them.";
}
