// Setting and ending limits, with a way back: what was in force before is set again.
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { type Limit } from "../gen/highwater/v1/limit_pb";
import { type Target } from "../gen/highwater/v1/types_pb";
import { useAuthor } from "./author";
import { say } from "./said";
import { limits, words } from "./service";
import { targetKey } from "./target";
import { count, many } from "./time";

export interface NewLimit {
  target: Target;
  name: string;
  slots: number;
  endTime?: Timestamp;
  reason: string;
}

const UNDONE = "undone on the page";

/** Of starts a minute, and not of slots. */
export const isOfStarts = ({ startsPerMinute }: Pick<Limit, "startsPerMinute">): boolean => startsPerMinute !== undefined;
/** "20", or "60 starts a minute" of a limit that is of those. */
export const limitWords = ({ slots, startsPerMinute }: Pick<Limit, "slots" | "startsPerMinute">): string => (startsPerMinute === undefined ? count(slots) : `${many(startsPerMinute, "start")} a minute`);

export function useLimits(project: string) {
  const author = useAuthor();
  const client = useQueryClient();
  const changed = () => {
    for (const of of ["limits", "annotations", "assignment", "audit"]) void client.invalidateQueries({ queryKey: [of, project] });
  };
  const set = (target: Target, slots: number, reason: string, endTime?: Timestamp) =>
    limits.setLimit({ project, target, slots, setBy: author, reason, ...(endTime && { endTime }) });
  /** What is in force; nothing for a target that nobody has named before. */
  const inForce = async (target: Target): Promise<Limit | undefined> => {
    const found = await limits.listLimits({ project, target }).catch((error: unknown) => {
      if (ConnectError.from(error).code === Code.NotFound) return { limits: [] };
      throw error;
    });
    return found.limits.find((limit) => targetKey(limit.target) === targetKey(target) && !isOfStarts(limit));
  };

  /** What was in force comes back, as far as its time has not passed. */
  const restore = async (target: Target, before: Limit | undefined): Promise<void> => {
    const passed = before?.endTime && timestampMs(before.endTime) <= Date.now();
    if (before && !passed && isOfStarts(before)) {
      const { startsPerMinute = 0, endTime } = before;
      await limits.setLimit({ project, target, startsPerMinute, setBy: author, reason: UNDONE, ...(endTime && { endTime }) });
    } else if (before && !passed) await set(target, before.slots, UNDONE, before.endTime);
    else await limits.endLimit({ project, target, setBy: author, reason: UNDONE });
  };
  /** Goes back, by all of these ways, whatever becomes of one; says what is as it was. */
  const undo = (...ways: (() => Promise<void>)[]) => async () => {
    const gone = await Promise.allSettled(ways.map((way) => way()));
    changed();
    const failed = gone.find((of) => of.status === "rejected");
    if (failed) throw new Error(`Undone: ${count(gone.filter(({ status }) => status === "fulfilled").length)} of ${many(ways.length, "limit")}. ${words(failed.reason)}`);
    say(ways.length === 1 ? "Undone: the limit is as it was." : `Undone: ${many(ways.length, "limit")} are as they were.`);
  };
  /** Sets a limit; returns the way back. */
  const change = async ({ target, slots, reason, endTime }: Omit<NewLimit, "name">) => {
    // Without it there is no way back: then nothing is set.
    const before = await inForce(target);
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
    mutationFn: ({ limit }: { limit: Limit; name: string }) => {
      const { target } = limit;
      return limits.endLimit({ project, ...(target && { target }), setBy: author, reason: "", starts: isOfStarts(limit) });
    },
    onSuccess: (_, { limit, name }) => {
      changed();
      const { target } = limit;
      say(`The limit of ${name} has ended.`, target && undo(() => restore(target, limit)));
    },
    onError: (error, { name }) => say(`The limit of ${name} did not end. ${words(error)}`),
  });
  return { set: setOne, change, undo, end, author, changed };
}
