import { useQuery } from "@tanstack/react-query";

import { type RangeName, RANGES, VIEWS, type View, go, useAddress } from "../lib/address";
import { useCaller } from "../lib/caller";
import { useFiring } from "../lib/firing";
import { whenIdle } from "../lib/idle";
import { useLive } from "../lib/live";
import { projectsQuery } from "../lib/service-state";
import { type Theme, setTheme, useTheme } from "../lib/theme";
import { between, clock, count, zoneOf } from "../lib/time";
import { CallerMenu } from "../views/signin/caller-menu";
import { Menu } from "./menu";
import { part } from "./part";

const VIEW_NAME: Record<View, string> = {
  quotas: "Quotas",
  sessions: "Sessions",
  requests: "Requests",
  alerts: "Alerts",
  settings: "Settings",
  operator: "Operator",
};

/** What fires is read once the page is there, and is no part of what it waits for. */
const FiringReader = part("What fires", () => whenIdle().then(() => import("./firing")).then((of) => of.default));
const THEMES: Theme[] = ["system", "light", "dark"];
const THEME_MARK: Record<Theme, string> = { system: "◐", light: "○", dark: "●" };

/** Project, views, range, what is live and since when, theme. On a phone it folds to three lines, of which the last stays in sight. */
export function Bar({ project }: { project: string }) {
  const { view, lost, range } = useAddress();
  const caller = useCaller();
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const { status } = useLive(project);
  const views = VIEWS.filter((name) => name !== "operator" || caller?.operates);
  return (
    <header className="sticky top-0 z-30 border-b bg-ground max-[560px]:-top-[86px]">
      <div className="mx-auto flex min-h-12 max-w-[1392px] flex-wrap items-center gap-x-4 gap-y-1 px-4 py-1 min-[1392px]:px-8">
        {status !== "connecting" && caller && <FiringReader key={project} project={project} />}
        <ProjectMenu project={project} />
        <nav aria-label="Views" className="flex flex-wrap gap-x-1">
          {views.map((name) => (
            <a
              key={name}
              href={`/p/${encodeURIComponent(project)}/${name}`}
              aria-current={name === view && !lost ? "page" : undefined}
              onClick={(event) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                event.preventDefault();
                go({ view: name, project, select: "", open: "", filter: "" });
              }}
              className="inline-flex h-7 items-center rounded-[4px] px-2 text-muted hover:text-text aria-[current]:bg-raised aria-[current]:font-medium aria-[current]:text-text"
            >
              {VIEW_NAME[name]}
              {name === "alerts" && <FiringCount />}
            </a>
          ))}
        </nav>
        <div className="ml-auto flex flex-wrap items-center gap-x-3 max-[420px]:gap-x-2">
          {view === "quotas" && !lost && <RangeChoice range={range} />}
          <LiveState project={project} />
          {caller?.keyId && <CallerMenu caller={caller} />}
          <button
            type="button"
            aria-label={`Theme: ${theme}. Change to ${next}`}
            title={`Theme: ${theme}`}
            onClick={() => setTheme(next)}
            className="grid size-7 place-items-center rounded-[4px] text-muted hover:bg-raised hover:text-text"
          >
            {THEME_MARK[theme]}
          </button>
        </div>
      </div>
    </header>
  );
}

/** How many alerts fire now: red when one of them is at its limit or critical. */
function FiringCount() {
  const firing = useFiring();
  if (firing.length === 0) return null;
  const isRed = firing.some(({ tone }) => tone === "red");
  return (
    <span className={`ml-1.5 font-medium ${isRed ? "text-red" : "text-amber"}`}>
      {count(firing.length)}
      <span className="sr-only"> {firing.length === 1 ? "fires" : "fire"} now</span>
    </span>
  );
}

function ProjectMenu({ project }: { project: string }) {
  const { view } = useAddress();
  const { data } = useQuery(projectsQuery);
  const names = [...new Set([...(data?.projects ?? []).filter((name) => name !== "-"), project])].sort();
  const choices = names.map((name) => ({
    key: name,
    label: name,
    current: name === project,
    onSelect: () => go({ project: name, view, select: "", open: "", filter: "", rest: {} }),
  }));
  return (
    <Menu label={`Project ${project}`} choices={choices}>
      <span className="font-semibold">{project}</span>
    </Menu>
  );
}

function RangeChoice({ range }: { range: RangeName | { from: number; to: number } }) {
  return (
    <div role="group" aria-label="Range" className="flex items-center rounded-[4px] border">
      {(Object.keys(RANGES) as RangeName[]).map((name) => (
        <button
          key={name}
          type="button"
          aria-pressed={range === name}
          onClick={() => go({ range: name })}
          className="h-6.5 px-2 text-muted max-[420px]:px-1 hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text"
        >
          {name.replace(/(\d+)/, "$1 ")}
        </button>
      ))}
      {typeof range === "object" && (
        <button type="button" className="h-6.5 border-l px-2 font-medium" onClick={() => go({ range: "7d" })} aria-label="Leave this window">
          {between(range.from, range.to)} ✕
        </button>
      )}
    </div>
  );
}

function LiveState({ project }: { project: string }) {
  const live = useLive(project);
  const said =
    live.status === "connecting"
      ? "connecting"
      : live.isEmpty
        ? "nothing reported yet"
        : live.status === "stale"
          ? live.asOf
            ? `as of ${clock(live.asOf)} ${zoneOf(live.asOf)}`
            : "nothing heard yet"
          : live.settling
            ? "settling after a restart"
            : `live since ${clock(live.since)} ${zoneOf(live.since)}`;
  return (
    <span role="status" title={live.problem} className={`whitespace-nowrap ${live.status === "stale" && !live.isEmpty ? "text-amber" : "text-muted"}`}>
      <span aria-hidden="true" className="mr-1.5">
        {live.status === "live" ? "●" : "○"}
      </span>
      {said}
    </span>
  );
}
