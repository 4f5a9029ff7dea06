import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { EnforcementMode as Mode } from "../gen/highwater/v1/limit_pb";
import { Kind, type Target, TargetSchema } from "../gen/highwater/v1/types_pb";
import { enforcementWords } from "./enforcement";

const model = (name: string): Target => create(TargetSchema, { target: { case: "meter", value: { kind: Kind.TTS, model: name } } });
const nameOf = (target: Target): string => target.target.value?.model ?? "";

test("what limits do is said as it was chosen for the project, and for what stands out of it", () => {
  const said = (project: Mode, ...others: [string, Mode][]) =>
    enforcementWords([...(project === Mode.UNSPECIFIED ? [] : [{ mode: project }]), ...others.map(([name, mode]) => ({ target: model(name), mode }))], nameOf);
  expect(said(Mode.UNSPECIFIED)).toBe("Limits are watched: nobody is refused for them.");
  expect(said(Mode.OBSERVE, ["a", Mode.OBSERVE])).toBe("Limits are watched: nobody is refused for them.");
  expect(said(Mode.ENFORCE, ["a", Mode.ENFORCE])).toBe("Limits are enforced: who asks for a slot beyond one is refused, or given another model.");
  expect(said(Mode.ENFORCE, ["b", Mode.OBSERVE], ["a", Mode.OBSERVE])).toMatch(/given another model\. Those of a and b are watched alone\.$/);
  expect(said(Mode.UNSPECIFIED, ["a", Mode.ENFORCE])).toMatch(/^Limits of a are enforced: .* Others are watched\.$/);
  const many: [string, Mode][] = ["a", "b", "c", "d"].map((name) => [name, Mode.ENFORCE]);
  expect(said(Mode.OBSERVE, ...many)).toMatch(/^Limits of a, b and 2 more are enforced/);
});
