import { Dialog } from "../../parts/dialog";

const KEYS = [
  ["↑ ↓", "on a model: the one above, the one below"],
  ["Enter", "on a model: its detail"],
  ["Space", "on a model: select it, and let it go"],
  ["← →", "on a chart: the minute before, the minute after (Shift: ten, Page: an hour)"],
  ["Home End", "on a chart: the first and the last minute"],
  ["click", "a line selects its model; elsewhere it pins the minute"],
  ["drag", "across a chart that window; the selected limit what another would have meant"],
  ["/", "filter models"],
  ["Esc", "let go of minute and selection"],
  ["?", "these keys"],
] as const;

/** What the keys do. */
export default function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title="Keys">
      <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1">
        {KEYS.map(([key, what]) => (
          <div key={key} className="contents">
            <dt className="font-medium">{key}</dt>
            <dd className="text-muted">{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
