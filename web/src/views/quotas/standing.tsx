import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Condition, Risk, Week } from "../../gen/highwater/v1/types_pb";
import { RISK_WORD, WEEK_WORD } from "../../lib/target";

const MARK: Record<Risk, string> = {
  [Risk.UNSPECIFIED]: "○",
  [Risk.OK]: "·",
  [Risk.APPROACHING]: "▲",
  [Risk.AT_LIMIT]: "■",
  [Risk.OVER]: "■",
  [Risk.UNKNOWN]: "○",
};

export const toneOf = (quota: Quota): "fill" | "amber" | "red" =>
  quota.risk === Risk.AT_LIMIT || quota.risk === Risk.OVER
    ? "red"
    : quota.risk === Risk.APPROACHING || (quota.week !== Week.CALM && quota.week !== Week.UNSPECIFIED)
      ? "amber"
      : "fill";

const TEXT = { fill: "text-muted", amber: "text-amber", red: "text-red" };

/** How near it is now, in a mark and a word; of a provider that is down, that. */
export function Now({ quota }: { quota: Quota }) {
  if (quota.condition === Condition.DOWN) return <Mark tone="red" mark="✕" word="provider down" />;
  if (quota.condition === Condition.PROBING) return <Mark tone="amber" mark="◐" word="probing" />;
  const tone = quota.risk === Risk.APPROACHING ? "amber" : toneOf(quota) === "red" ? "red" : "fill";
  const word = !quota.limit && quota.risk !== Risk.UNKNOWN ? "no limit" : RISK_WORD[quota.risk];
  return <Mark tone={tone} mark={MARK[quota.risk]} word={word} />;
}

function Mark({ tone, mark, word }: { tone: keyof typeof TEXT; mark: string; word: string }) {
  return (
    <span className={`inline-flex items-baseline gap-1.5 whitespace-nowrap ${TEXT[tone]}`}>
      <span aria-hidden="true" className="w-2.5 text-center text-[10px]">
        {mark}
      </span>
      {word}
    </span>
  );
}

/** How near the week came, as a badge. */
export function WeekBadge({ week }: { week: Week }) {
  const word = WEEK_WORD[week];
  if (!word) return null;
  return <span className="rounded-[3px] border border-amber px-1 text-[11px] leading-4 whitespace-nowrap text-amber">{word}</span>;
}
