import { useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { Head } from "../../parts/page";
import { Tabs } from "../../parts/tabs";
import { Recipients } from "../alerts/recipients";
import { Rules } from "../alerts/rules";
import { Audit } from "./audit";
import { Catalogue } from "./catalogue";
import { Chains } from "./chains";
import { Keys } from "./keys";
import { Limits } from "./limits";
import { Plans } from "./plans";

const ROOMS = [
  { key: "", name: "Limits", room: Limits, forEditors: false },
  { key: "plans", name: "Plans", room: Plans, forEditors: false },
  { key: "chains", name: "Chains", room: Chains, forEditors: false },
  { key: "catalogue", name: "Catalogue", room: Catalogue, forEditors: false },
  { key: "keys", name: "Keys", room: Keys, forEditors: true },
  { key: "rules", name: "Alert rules", room: Rules, forEditors: false },
  { key: "recipients", name: "Recipients", room: Recipients, forEditors: true },
  { key: "audit", name: "Audit trail", room: Audit, forEditors: true },
] as const;

/** What a project may use, who may do what, and what was changed by whom. */
export default function Settings({ project }: { project: string }) {
  const { rest } = useAddress();
  const caller = useCaller();
  // What would be refused is not offered.
  const rooms = ROOMS.filter(({ forEditors }) => !forEditors || caller?.edits);
  const room = rooms.find(({ key }) => key === (rest["tab"] ?? "")) ?? rooms[0];
  if (!caller || !room) return null;
  const Room = room.room;
  return (
    <>
      <Head title="Settings" {...(!caller.edits && { lead: "Your key reads: an editor of the project changes what is here." })} />
      <Tabs label="Settings" tabs={rooms} current={room.key} />
      <Room project={project} />
    </>
  );
}
