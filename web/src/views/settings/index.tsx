import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { Head } from "../../parts/page";
import { Audit } from "./audit";
import { Catalogue } from "./catalogue";
import { Keys } from "./keys";
import { Limits } from "./limits";
import { Plans } from "./plans";
import { Recipients } from "./recipients";

const ROOMS = [
  { key: "limits", name: "Limits", room: Limits, forEditors: false },
  { key: "plans", name: "Plans", room: Plans, forEditors: false },
  { key: "catalogue", name: "Catalogue", room: Catalogue, forEditors: false },
  { key: "keys", name: "Keys", room: Keys, forEditors: true },
  { key: "recipients", name: "Recipients", room: Recipients, forEditors: false },
  { key: "audit", name: "Audit trail", room: Audit, forEditors: true },
] as const;

/** What a project may use, who may do what, and what was changed by whom. */
export default function Settings({ project }: { project: string }) {
  const { rest } = useAddress();
  const caller = useCaller();
  // What would be refused is not offered.
  const rooms = ROOMS.filter(({ forEditors }) => !forEditors || caller?.edits);
  const room = rooms.find(({ key }) => key === rest["tab"]) ?? rooms[0];
  if (!caller || !room) return null;
  const Room = room.room;
  return (
    <>
      <Head title="Settings" {...(!caller.edits && { lead: "Your key reads: an editor of the project changes what is here." })} />
      <nav aria-label="Settings" className="flex flex-wrap gap-x-4 border-b">
        {rooms.map(({ key, name }) => (
          <a
            key={key}
            href={`/p/${encodeURIComponent(project)}/settings${key === "limits" ? "" : `?tab=${key}`}`}
            aria-current={key === room.key ? "page" : undefined}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              go({ rest: key === "limits" ? {} : { tab: key } });
            }}
            className="-mb-px inline-flex h-8 items-center border-b-2 border-transparent text-muted hover:text-text aria-[current]:border-text aria-[current]:text-text"
          >
            {name}
          </a>
        ))}
      </nav>
      <Room project={project} />
    </>
  );
}
