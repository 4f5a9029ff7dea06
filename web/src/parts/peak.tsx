import { boundSaid, boundWord, signOf } from "../lib/bound";
import { count } from "../lib/time";
import { type Bound } from "../gen/highwater/v1/types_pb";

/** A peak with the sign of how it is to be read: "≥9", and why on hover. */
export function Peak({ level, bound }: { level: number; bound: Bound }) {
  const sign = signOf(bound);
  if (!sign) return count(level);
  return (
    <span title={boundSaid(bound, count(level))}>
      <span aria-hidden="true">{sign}</span>
      <span className="sr-only">{boundWord(bound)}</span>
      {count(level)}
    </span>
  );
}
