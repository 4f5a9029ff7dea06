// One chain: its models in their order with their shares of new sessions, when they are left, and what a failure would ask.
import { useState } from "react";

import { type Chain, type Override, useChainChanges } from "../../../lib/chains";
import { type FailureNeed, Override_Action } from "../../../gen/highwater/v1/chain_pb";
import { type ChainRoute } from "../../../gen/highwater/v1/route_pb";
import { Condition } from "../../../gen/highwater/v1/types_pb";
import { useLive } from "../../../lib/live";
import { spanWords } from "../../../lib/spans";
import { KIND_NAME, seconds } from "../../../lib/target";
import { count } from "../../../lib/time";
import { isDiverted, meterKey, routeSentence, wayOf } from "../../../lib/ways";
import { Button } from "../../../parts/button";
import { By } from "../../../parts/by";
import { When } from "../../../parts/when";
import { WAY_TONE } from "../../quotas/route-cell";
import { DeleteDialog } from "./delete-dialog";
import { OverrideForm } from "./override-form";

interface Props {
  project: string;
  chain: Chain;
  /** Absent until it is heard. */
  route: ChainRoute | undefined;
  edits: boolean;
  onEdit: () => void;
}

const WORD: Record<Override_Action, string> = { [Override_Action.UNSPECIFIED]: "", [Override_Action.PIN]: "Pinned", [Override_Action.DRAIN]: "Drained" };

/** When sessions leave a model, and when they return. */
function rules({ thresholdsOff, fillPercent, returnPercent, dwell, models }: Chain): string {
  if (models.length === 1) return "It has one model: there is none to turn to.";
  const stay = `A route stays for ${spanWords(Number(dwell?.seconds ?? 0n))} at least.`;
  if (thresholdsOff) return `New sessions leave a model only when it is full or down. ${stay}`;
  return `New sessions leave a model from ${fillPercent} % of its limit on, and return when all would fit below ${returnPercent} %. ${stay}`;
}

export function ChainCard({ project, chain, route, edits, onEdit }: Props) {
  const [asks, setAsks] = useState<{ place: number; action: Override_Action }>();
  const [deletes, setDeletes] = useState(false);
  const { end } = useChainChanges(project);
  const nameAt = (place: number): string => chain.displayNames[place] || chain.models[place]?.model || "";
  const diverted = route !== undefined && isDiverted(route);
  const isOver = ({ leftOver, needs }: FailureNeed) => leftOver > 0 || needs.some(({ slots, limit }) => limit !== undefined && slots > limit);
  return (
    <section aria-label={`Chain ${chain.name}`} className={`rounded-[4px] border ${diverted ? "border-l-2 border-l-violet" : ""}`}>
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-1 px-4 pt-3">
        <div className="min-w-0">
          <h3 className="font-semibold wrap-anywhere">
            {chain.name} <span className="font-normal text-muted">· {KIND_NAME[chain.kind]}</span>
          </h3>
          <p role="status" aria-label={`Route of ${chain.name}`} className={diverted ? "text-violet" : "text-muted"}>
            {diverted && <span aria-hidden="true">⤷ </span>}
            {route ? routeSentence(route, chain.models.map((_, place) => nameAt(place))) : " "}
          </p>
        </div>
        {edits && (
          <span className="-mx-1.5 flex">
            <Button look="quiet" aria-label={`Change chain ${chain.name}`} onClick={onEdit}>
              Change
            </Button>
            <Button look="quiet" aria-label={`Delete chain ${chain.name}`} onClick={() => setDeletes(true)}>
              Delete
            </Button>
          </span>
        )}
      </header>
      <ol aria-label={`Models of ${chain.name}`} className="mt-2">
        {chain.models.map((meter, place) => {
          const key = meterKey(meter);
          const said = chain.overrides.find(({ model }) => meterKey(model) === key);
          return (
            <ModelLine
              key={key}
              project={project}
              chain={chain}
              place={place}
              name={nameAt(place)}
              route={route}
              said={said}
              edits={edits}
              onSay={(action) => setAsks({ place, action })}
              onEnd={() => said && end.mutate({ said, name: nameAt(place) })}
            />
          );
        })}
      </ol>
      <div className="grid gap-x-10 gap-y-2 border-t px-4 py-3 lg:grid-cols-2">
        <div>
          <h4 className="sr-only">When it changes</h4>
          <p className="text-pretty text-muted">{rules(chain)}</p>
          <p className="text-muted">
            Set <When at={seconds(chain.setTime) ?? 0} /> by <By id={chain.setBy} name={chain.setByName} />
            {chain.reason && `: ${chain.reason}`}
          </p>
        </div>
        <div>
          <h4 className="sr-only">If a model fails</h4>
          {chain.failures.length === 0 ? (
            <p className="text-muted">Nothing of the last seven days says what a failure would ask.</p>
          ) : (
            <ul aria-label={`If a model of ${chain.name} fails`} className="grid gap-1">
              {chain.failures.map((failure) => (
                <li key={failure.failed} className="flex gap-2">
                  <span aria-hidden="true" className={`w-2.5 shrink-0 text-center text-[10px] ${isOver(failure) ? "text-amber" : "text-muted"}`}>
                    {isOver(failure) ? "▲" : "·"}
                  </span>
                  <span className="min-w-0">
                    <span className={isOver(failure) ? "text-amber" : ""}>{failure.sentence}</span>{" "}
                    <span className="whitespace-nowrap text-muted">
                      {count(failure.moved)} to move, <When at={seconds(failure.minute) ?? 0} />
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
      {asks && chain.models[asks.place] && <OverrideForm project={project} chain={chain} place={asks.place} action={asks.action} name={nameAt(asks.place)} onClose={() => setAsks(undefined)} />}
      {deletes && <DeleteDialog project={project} chain={chain} onClose={() => setDeletes(false)} />}
    </section>
  );
}

interface LineProps {
  project: string;
  chain: Chain;
  place: number;
  name: string;
  route: ChainRoute | undefined;
  /** What is said of it by hand. */
  said: Override | undefined;
  edits: boolean;
  onSay: (action: Override_Action) => void;
  onEnd: () => void;
}

function ModelLine({ project, chain, place, name, route, said, edits, onSay, onEnd }: LineProps) {
  const meter = chain.models[place];
  const quota = useLive(project).byKey.get(meterKey(meter));
  const model = route?.models[place];
  const way = route && model ? wayOf(route, place, chain.overrides) : undefined;
  const account = meter?.account && meter.account !== "livekit" ? meter.account : "";
  const isDown = model?.condition === Condition.DOWN || quota?.condition === Condition.DOWN;
  // The last that is not drained stays: the service would refuse it.
  const mayDrain = chain.models.length - chain.overrides.filter(({ action }) => action === Override_Action.DRAIN).length > 1;
  const mayPin = !chain.overrides.some(({ action }) => action === Override_Action.PIN) && chain.models.length > 1;
  return (
    <li className="grid grid-cols-[18px_minmax(0,1fr)_auto] items-center gap-x-3 border-t px-4 py-1.5 max-[899px]:py-2.5 min-[900px]:grid-cols-[18px_minmax(0,1fr)_200px_180px_112px_136px]">
      <span className="text-right text-muted max-[899px]:self-start" aria-hidden="true">
        {place + 1}
      </span>
      <div className="min-w-0 max-[899px]:col-span-2">
        <p className="wrap-anywhere" title={meter?.model}>
          <span className="font-medium">{name}</span>
          {account && <span className="text-muted"> ({account})</span>}
          {place === 0 && chain.models.length > 1 && <span className="text-muted"> · primary</span>}
        </p>
        {said && (
          <p className="text-muted wrap-anywhere">
            {WORD[said.action]} by <By id={said.setBy} name={said.setByName} /> until <When at={seconds(said.endTime) ?? 0} />: {said.reason}
          </p>
        )}
        {isDown && way?.words !== "down" && <p className="text-red">✕ Its provider is down.</p>}
        {model?.learnedCeiling !== undefined && <p className="text-amber">Its provider seems to allow {count(model.learnedCeiling)}.</p>}
      </div>
      <ShareBar percent={model?.percent} isFallback={place > 0} />
      <p className={`max-[899px]:text-right ${way ? WAY_TONE[way.tone] : "text-muted"}`}>
        {way?.mark && (
          <span aria-hidden="true" className="mr-1 inline-block w-3 text-center text-[11px]">
            {way.mark}
          </span>
        )}
        {way?.words}
      </p>
      <p className="text-muted max-[899px]:col-start-2">
        {quota?.covered && (
          <>
            <span className="font-medium text-text">{count(quota.level)}</span>
            {quota.limit ? ` of ${count(quota.limit.slots)} held` : " held"}
          </>
        )}
      </p>
      <span className="-mr-1.5 flex justify-end">
        {edits && said && (
          <Button look="quiet" aria-label={`End what is said of ${name} in ${chain.name}`} onClick={onEnd}>
            End
          </Button>
        )}
        {edits && !said && mayPin && (
          <Button look="quiet" aria-label={`Pin ${name} in ${chain.name}`} title="New sessions use it while it has room" onClick={() => onSay(Override_Action.PIN)}>
            Pin
          </Button>
        )}
        {edits && !said && mayDrain && (
          <Button look="quiet" aria-label={`Drain ${name} in ${chain.name}`} title="No new session uses it" onClick={() => onSay(Override_Action.DRAIN)}>
            Drain
          </Button>
        )}
      </span>
    </li>
  );
}

const WIDTH = 140;

/** A model's share of new sessions, in violet where it is a fallback's. */
function ShareBar({ percent, isFallback }: { percent: number | undefined; isFallback: boolean }) {
  if (percent === undefined) return <span className="max-[899px]:hidden" />;
  return (
    <span className="flex items-center gap-3 max-[899px]:col-start-2">
      <svg role="img" aria-label={`${percent} % of new sessions`} width={WIDTH} height={14} className="block shrink-0">
        <title>{`${percent} % of new sessions`}</title>
        <rect x={0} y={4} width={WIDTH} height={6} className="fill-line" />
        <rect x={0} y={4} width={(WIDTH * percent) / 100} height={6} className={isFallback ? "fill-violet" : "fill-fill"} />
      </svg>
      <span aria-hidden="true" className={`min-w-11 text-right ${percent === 0 ? "text-muted" : ""}`}>
        {percent} %
      </span>
    </span>
  );
}
