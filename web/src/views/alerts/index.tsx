import { go, useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { Button } from "../../parts/button";
import { Head } from "../../parts/page";
import { Tabs } from "../../parts/tabs";
import { AlertList } from "./list";
import { Recipients } from "./recipients";
import { Rules } from "./rules";

const ROOMS = [
  { key: "", name: "Alerts", room: AlertList, forEditors: false },
  { key: "rules", name: "Rules", room: Rules, forEditors: false },
  { key: "recipients", name: "Recipients", room: Recipients, forEditors: true },
] as const;

/** What fires and fired, what is watched, and who is told. */
export default function Alerts({ project }: { project: string }) {
  const { rest } = useAddress();
  const caller = useCaller();
  if (!caller) return null;
  // What would be refused is not offered.
  const rooms = ROOMS.filter(({ forEditors }) => !forEditors || caller.edits);
  const room = rooms.find(({ key }) => key === (rest["tab"] ?? "")) ?? ROOMS[0];
  const Room = room.room;
  return (
    <>
      <Head title="Alerts" lead={caller.edits ? "What came near its limit, who was told, and what became of it." : "What came near its limit, and what became of it. Your key reads: an editor of the project acknowledges and snoozes."}>
        {room.key !== "" && (
          <Button look="quiet" onClick={() => go({ view: "settings", select: "", open: "", rest: { tab: "audit" } })} hidden={!caller.edits}>
            Audit trail
          </Button>
        )}
      </Head>
      <Tabs label="Alerts" tabs={rooms} current={room.key} />
      <Room project={project} />
    </>
  );
}
