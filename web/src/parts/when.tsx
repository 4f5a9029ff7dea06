import { full, moment } from "../lib/time";

/** A time as people read it; the whole of it, with its zone, on hover. */
export function When({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at * 1_000).toISOString()} title={full(at)} className="whitespace-nowrap">
      {moment(at)}
    </time>
  );
}
