// Which way new sessions of chains go, in words: of each model of a route, and of the chain.
import { type Override, Override_Action } from "../gen/highwater/v1/chain_pb";
import { type ChainRoute, type ModelRoute, Stand } from "../gen/highwater/v1/route_pb";
import { type Meter } from "../gen/highwater/v1/types_pb";
import { type Way } from "./routes";
import { seconds, targetKey, targetOfMeter } from "./target";
import { clock, moment } from "./time";

/** As long as a clock alone leaves no doubt. */
const SAME_DAY_SECONDS = 18 * 3_600;

export const meterKey = (meter: Meter | undefined): string => targetKey(targetOfMeter(meter));

/** Until when something was said by hand of a model: "14:30", "Tue 14:30"; empty where it is not known. */
function untilOf(overrides: readonly Override[], chain: string, model: ModelRoute, action: Override_Action): string {
  const key = meterKey(model.meter);
  const end = seconds(overrides.find((one) => one.chain === chain && one.action === action && meterKey(one.model) === key)?.endTime);
  if (end === undefined) return "";
  return ` until ${end - Date.now() / 1_000 < SAME_DAY_SECONDS ? clock(end) : moment(end)}`;
}

/** How one model of a chain stands for new sessions. */
export function wayOf({ chain, leader, models }: ChainRoute, place: number, overrides: readonly Override[] = []): Way {
  const model = models[place];
  if (!model) return { chain, words: "", tone: "muted", mark: "" };
  const { percent, stand } = model;
  const share = `${percent} %`;
  const isFallback = place > 0;
  const of = (words: string, tone: Way["tone"], mark: string): Way => ({ chain, words, tone, mark });
  switch (stand) {
    case Stand.DOWN:
      return of("down", "red", "✕");
    case Stand.FULL:
      return of("full", "red", "■");
    case Stand.PROBING:
      return of(percent > 0 && percent < 100 ? `probing, ${share}` : "probing", "amber", "◐");
    case Stand.DRAINED:
      return of(`drained${untilOf(overrides, chain, model, Override_Action.DRAIN)}`, "text", "⊘");
    case Stand.PINNED:
      return of(`pinned${untilOf(overrides, chain, model, Override_Action.PIN)}`, isFallback && percent > 0 ? "violet" : "text", "◆");
    default:
      if (isFallback && percent > 0) return of(percent === 100 || leader === place ? `fallback in use${percent < 100 ? `, ${share}` : ""}` : `fallback, ${share}`, "violet", "⤷");
      if (isFallback) return of("stands by", "muted", "");
      if (percent === 100) return of("leads", "muted", "");
      // The primary has room again, and the route stays for its time.
      if (percent === 0) return of("returns", "muted", "");
      return of(share, "amber", "◔");
  }
}

const WEIGHT: Record<Way["tone"], number> = { red: 5, amber: 3, violet: 4, text: 2, muted: 1 };

/** The ways of all models, by their meters: of several chains the one that most is to be said of first. */
export function waysOf(routes: readonly ChainRoute[], overrides: readonly Override[] = []): Map<string, Way[]> {
  const found = new Map<string, Way[]>();
  for (const route of routes) {
    for (const [place, { meter }] of route.models.entries()) {
      const key = meterKey(meter);
      found.set(key, [...(found.get(key) ?? []), wayOf(route, place, overrides)]);
    }
  }
  for (const [key, ways] of found) found.set(key, ways.toSorted((a, b) => WEIGHT[b.tone] - WEIGHT[a.tone] || a.chain.localeCompare(b.chain)));
  return found;
}

/** Whether a fallback takes new sessions now. */
export const isDiverted = ({ models }: ChainRoute): boolean => models.some(({ percent }, place) => place > 0 && percent > 0);

/** Where new sessions of a chain go, in a sentence. */
export function routeSentence(route: ChainRoute, names: readonly string[]): string {
  const taking = route.models.flatMap(({ percent }, place) => (percent > 0 ? [{ percent, name: names[place] ?? "" }] : []));
  const [only] = taking;
  if (!only) return "No model takes new sessions.";
  if (taking.length === 1) return isDiverted(route) ? `Fallback in use: new sessions go to ${only.name}.` : `New sessions go to ${only.name}.`;
  const shares = taking.map(({ percent, name }) => `${percent} % to ${name}`).join(", ");
  return isDiverted(route) ? `Fallback in use: of new sessions ${shares}.` : `Of new sessions ${shares}.`;
}
