// What the service finds wrong with one field of a request, to be said beside it.

/** What is wrong, and with which field: "threshold: is 1001 %; 1000 % is the most". */
export function fieldProblem(message: string): { field: string; problem: string } {
  const found = /^([a-z_]+(?:\.[a-z_]+)*): ([^]*)$/.exec(message);
  return found ? { field: found[1]?.split(".").at(-1) ?? "", problem: found[2] ?? "" } : { field: "", problem: message };
}

/** The same, with the place in a list: "models[1]: is there already" is of `models`, and of its second. */
export function placedProblem(message: string): { field: string; place: number | undefined; problem: string } {
  const found = /^([a-z_]+)(?:\[(\d+)\])?(?:\.[a-z_]+)*: ([^]*)$/.exec(message);
  if (!found) return { field: "", place: undefined, problem: message };
  const [, field = "", place, problem = ""] = found;
  return { field, place: place === undefined ? undefined : Number(place), problem };
}

/** As it stands beside a field: "Is empty; name 1 to 8, the primary first." */
export const asSentence = (problem: string): string => (problem ? `${problem.charAt(0).toUpperCase()}${problem.slice(1)}${/[.!?]$/.test(problem) ? "" : "."}` : "");
