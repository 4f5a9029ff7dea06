import { go } from "../../lib/address";
import { Button } from "../../parts/button";
import { Empty, Head } from "../../parts/page";

/** The place of alerts. */
export default function Alerts({ project }: { project: string }) {
  return (
    <>
      <Head title="Alerts" lead="What was near its limit, who was told, and when." />
      <Empty title="This version of Highwater sends no alerts.">
        <p>
          What is at risk is on the quota page, the worst first. Prometheus can alert on the same levels and limits: <code className="font-mono text-[12px]">docs/prometheus/alerts.yml</code> has rules to begin with, for{" "}
          <code className="font-mono text-[12px]">/metrics</code> of this service.
        </p>
        <Button className="mt-3" onClick={() => go({ project, view: "quotas" })}>
          Open quotas
        </Button>
      </Empty>
    </>
  );
}
