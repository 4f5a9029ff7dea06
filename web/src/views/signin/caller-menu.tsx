import { Role } from "../../gen/highwater/v1/admin_pb";
import { type Caller } from "../../lib/caller";
import { say } from "../../lib/said";
import { signOut } from "../../lib/session";
import { Menu } from "../../parts/menu";

export const ROLE_WORD: Record<Role, string> = {
  [Role.UNSPECIFIED]: "",
  [Role.WORKER]: "worker",
  [Role.VIEWER]: "viewer",
  [Role.EDITOR]: "editor",
  [Role.OPERATOR]: "operator",
  [Role.METRICS]: "metrics",
};

/** Who is signed in, and the way out. */
export function CallerMenu({ caller }: { caller: Caller }) {
  const leave = () => signOut().catch(() => say("You are still signed in: the service can't be reached."));
  return (
    <Menu label={`Signed in as ${ROLE_WORD[caller.role]} with key ${caller.keyId}`} choices={[{ key: "out", label: "Sign out", onSelect: leave }]}>
      <span className="text-muted">{ROLE_WORD[caller.role]}</span>
    </Menu>
  );
}
