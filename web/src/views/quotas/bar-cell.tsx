import { type Quota } from "../../gen/highwater/v1/quota_pb";
import { Risk } from "../../gen/highwater/v1/types_pb";
import { boundWord } from "../../lib/bound";
import { count } from "../../lib/time";

const FILL: Partial<Record<Risk, string>> = {
  [Risk.APPROACHING]: "fill-amber",
  [Risk.AT_LIMIT]: "fill-red",
  [Risk.OVER]: "fill-red",
};
const WIDTH = 120;

/** Now as a bar: its fill is the level, its tick the seven-day peak, its end the limit; what is over goes beyond it. */
export function BarCell({ quota }: { quota: Quota }) {
  if (!quota.limit) return null;
  const limit = quota.limit.slots;
  const peak = quota.peak?.level ?? 0;
  const most = Math.max(limit, quota.level, peak, 1);
  // Room beyond the end for what is over the limit, a third of the bar at most.
  const end = limit >= most ? WIDTH - 2 : Math.max((limit / most) * WIDTH, (WIDTH * 2) / 3);
  const at = (level: number) =>
    level <= limit ? (limit ? (level / limit) * end : 0) : Math.min(end + ((level - limit) / Math.max(most - limit, 1)) * (WIDTH - end - 1), WIDTH - 1);
  const fill = quota.covered ? (FILL[quota.risk] ?? "fill-fill") : "fill-line";
  const said = `${boundWord(quota.levelBound)}${count(quota.level)} of ${count(limit)} held, seven-day peak ${boundWord(quota.peakBound)}${count(peak)}`;
  return (
    <svg role="img" aria-label={said} width={WIDTH} height={14} className="block overflow-visible">
      <title>{said}</title>
      <rect x={0} y={4} width={end} height={6} className="fill-line" />
      <rect x={0} y={4} width={Math.min(at(quota.level), end)} height={6} className={fill} />
      {quota.level > limit && <rect x={end} y={4} width={at(quota.level) - end} height={6} className="fill-red" />}
      <line x1={end} x2={end} y1={1} y2={13} className="stroke-text" strokeWidth={1} />
      {quota.peak && <line x1={at(peak)} x2={at(peak)} y1={2} y2={12} className="stroke-muted" strokeWidth={2} />}
    </svg>
  );
}
