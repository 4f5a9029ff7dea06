import { go } from "../lib/address";

/** An address that names no page: it stays as it is, to be corrected, and leads on. */
export function Lost({ project, page }: { project: string; page: string }) {
  return (
    <section aria-label="No such page" className="pt-12">
      <h1 className="text-[20px] leading-7 font-semibold wrap-anywhere">There is no page “{page}”.</h1>
      <p className="mt-1 text-muted">Its address may be mistyped, or of another version of Highwater.</p>
      <a
        href={`/p/${encodeURIComponent(project)}/quotas`}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          go({ view: "quotas", select: "", open: "", filter: "", rest: {} });
        }}
        className="mt-4 inline-flex h-7 items-center text-blue hover:underline"
      >
        Open quotas
      </a>
    </section>
  );
}
