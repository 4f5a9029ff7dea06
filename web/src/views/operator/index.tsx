import { useAddress } from "../../lib/address";
import { useCaller } from "../../lib/caller";
import { Empty, Head, Part } from "../../parts/page";
import { Toggle } from "../requests";
import { RequestList } from "../requests/list";
import { Pools } from "./pools";
import { Projects } from "./projects";

/** What an operator sees: the models across projects, what is asked for, and the projects. */
export default function Operator({ project }: { project: string }) {
  const { rest } = useAddress();
  const caller = useCaller();
  const open = rest["show"] !== "all";
  if (!caller) return null;
  if (!caller.operates) {
    return (
      <div className="pt-6">
        <Empty title="This view is for operators.">Your key is of one project.</Empty>
      </div>
    );
  }
  return (
    <>
      <Head title="Operator" lead="All projects of this service." />
      <Part title="Provider pools" lead="Each model across all projects: what the contract holds, what was promised, and what was held at one time.">
        <Pools />
      </Part>
      <Part title="Requests" lead="Of all projects." actions={<Toggle open={open} />}>
        <RequestList project={project} all open={open} />
      </Part>
      <Projects current={project} />
    </>
  );
}
