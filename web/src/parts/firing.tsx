// Reads what fires now, for the bar and the rows of quotas. It shows nothing itself.
import { useEffect } from "react";

import { type Alert } from "../gen/highwater/v1/alert_pb";
import { useFiringAlerts } from "../lib/alert-lists";
import { ALERT_WORD, episodeKey, toneOf } from "../lib/alerts";
import { setFiring } from "../lib/firing";
import { seconds, targetKey } from "../lib/target";
import { moment } from "../lib/time";

const firingOf = (project: string, alert: Alert) => {
  const tone = toneOf(alert);
  return {
    // What is of another project, or of the service, marks no row of this one.
    key: alert.project === project ? targetKey(alert.target) : "",
    episode: episodeKey(alert),
    tone: tone === "red" ? tone : ("amber" as const),
    words: `${ALERT_WORD[alert.kind]} since ${moment(seconds(alert.fireTime ?? alert.beginTime) ?? 0)}`,
  };
};

export default function FiringReader({ project }: { project: string }) {
  const { data } = useFiringAlerts(project);
  useEffect(() => setFiring((data ?? []).map((alert) => firingOf(project, alert))), [data, project]);
  useEffect(() => () => setFiring([]), [project]);
  return null;
}
