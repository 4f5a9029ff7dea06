import { Empty, Part } from "../../parts/page";

/** The place of who is told. */
export function Recipients() {
  return (
    <Part title="Recipients" lead="Who is told when something comes near its limit.">
      <div className="pt-2">
        <Empty title="Recipients come with alerts.">This version sends nothing, so there is nobody to name yet.</Empty>
      </div>
    </Part>
  );
}
