// Setting and ending limits, with a way back: what was in force before is set again.
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { type Limit } from "../gen/highwater/v1/limit_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { useAuthor } from "./author";
import { say } from "./said";
import { limits, words } from "./service";
import { targetKey } from "./target";
import { count } from "./time";

export interface NewLimit {
  target: Target;
  name: string;
  slots: number;
  endTime?: Timestamp;
  reason: string;
}

const UNDONE = "undone on the page";

export function useLimits(project: string) {
  const author = useAuthor();
  const client = useQueryClient();
  const changed = () => {
    for (const of of ["limits", "annotations", "assignment", "audit"]) void client.invalidateQueries({ queryKey: [of, project] });
  };
  const set = (target: Target, slots: number, reason: string, endTime?: Timestamp) =>
    limits.setLimit({ project, target, slots, setBy: author, reason, ...(endTime && { endTime }) });
  const inForce = async (target: Target): Promise<Limit | undefined> =>
    (await limits.listLimits({ project, target })).limits.find((limit) => targetKey(limit.target) === targetKey(target));

  /** What was in force comes back, as far as its time has not passed. */
  const restore = async (target: Target, before: Limit | undefined): Promise<void> => {
    const passed = before?.endTime && timestampMs(before.endTime) <= Date.now();
    if (before && !passed) await set(target, before.slots, UNDONE, before.endTime);
    else await limits.endLimit({ project, target, setBy: author, reason: UNDONE });
  };
  /** Goes back, by all of these ways. */
  const undo = (...ways: (() => Promise<void>)[]) => async () => {
    for (const way of ways) await way();
    changed();
    say("Undone.");
  };
  /** Sets a limit; returns the way back. */
  const change = async ({ target, slots, reason, endTime }: Omit<NewLimit, "name">) => {
    const before = await inForce(target).catch(() => undefined);
    const { unknownModel } = await set(target, slots, reason, endTime);
    return { unknown: unknownModel, back: () => restore(target, before) };
  };

  const setOne = useMutation({
    mutationFn: (limit: NewLimit) => change(limit),
    onSuccess: ({ back, unknown }, { name, slots }) => {
      changed();
      say(`The limit of ${name} is ${count(slots)}${unknown ? "; the catalogue does not know this model" : ""}.`, undo(back));
    },
  });
  const end = useMutation({
    mutationFn: ({ limit: { target } }: { limit: Limit; name: string }) => limits.endLimit({ project, ...(target && { target }), setBy: author, reason: "" }),
    onSuccess: (_, { limit, name }) => {
      changed();
      const { target } = limit;
      say(`The limit of ${name} has ended.`, target && undo(() => restore(target, limit)));
    },
    onError: (error, { name }) => say(`The limit of ${name} did not end. ${words(error)}`),
  });
  return { set: setOne, change, undo, end, author, changed };
}
