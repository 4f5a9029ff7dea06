/** Who did it: what their key is called, and its id beside it; the id alone where it is called nothing. */
export function By({ id, name }: { id: string; name: string }) {
  if (!name) return id || "dev";
  return (
    <>
      {name} <span className="text-muted">{id}</span>
    </>
  );
}
