/** Where something is documented. An address that is no web page is not linked. */
export function Source({ href, children = "Source" }: { href: string; children?: string }) {
  if (!/^https?:\/\//.test(href)) return null;
  return (
    <a href={href} target="_blank" rel="noreferrer" className="text-blue hover:underline">
      {children} <span aria-hidden="true">↗</span>
    </a>
  );
}
