// Models that the catalogue does not know, as people write them.

const MOST_BYTES = 128;
const spelled = (text: string): string => text.trim().toLowerCase().replaceAll(/\s+/g, "-");

/** The id `provider/model` of what people wrote, or what is wrong with it. */
export function customModel(provider: string, model: string): { model: string } | { problem: string } {
  const [of, name] = [spelled(provider), spelled(model)];
  if (!of) return { problem: "Who provides the model?" };
  if (!name) return { problem: "What is the model called?" };
  const id = `${of}/${name}`;
  if (!/^[a-z0-9._/@+-]+$/.test(id)) return { problem: "Provider and model may have letters, digits, spaces and . _ / @ + - alone." };
  if (id.length > MOST_BYTES) return { problem: `Together they may have ${MOST_BYTES} letters at most.` };
  return { model: id };
}
