// A mail's HTML as nodes of another document: elements and attributes of a list, no script, nothing that is loaded from
// elsewhere. Its styles are set by script, since the policy of the page, which is the frame's too, forbids them inline.

interface Trusted {
  createPolicy(name: string, rules: { createHTML: (text: string) => string }): { createHTML(text: string): string };
}

const ELEMENTS = new Set("A B BR CENTER DIV EM H1 H2 H3 HR I IMG LI OL P SMALL SPAN STRONG TABLE TBODY TD TH THEAD TR UL".split(" "));
/** These go with all that is in them. */
const DROPPED = new Set("SCRIPT STYLE TEMPLATE TITLE IFRAME OBJECT EMBED SVG MATH HEAD NOSCRIPT".split(" "));
const ATTRIBUTES = new Set("class role align valign bgcolor width height cellpadding cellspacing border colspan rowspan alt title lang".split(" "));
/** Where a style waits until it is set by script. */
const STYLE = "data-style";

/** Markup of which nothing is in force when it is parsed: its inline styles are data, its sheets apart. */
export function inert(html: string): { markup: string; sheets: string[] } {
  const sheets = [...html.matchAll(/<style\b[^>]*>([^]*?)<\/style>/gi)].map(([, text]) => text ?? "");
  const markup = html
    .replace(/<(style|script)\b[^]*?<\/\1>/gi, "")
    .replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/\son[a-z]+\s*=/gi, " data-dropped=").replace(/\sstyle\s*=/gi, ` ${STYLE}=`));
  return { markup, sheets };
}

/** Whether an address may be followed, or a picture shown. */
export const mayFollow = (href: string): boolean => /^https?:\/\//i.test(href);
export const mayShow = (src: string): boolean => /^data:image\/(png|gif|jpeg|webp);base64,/i.test(src);

function parsed(markup: string): Document {
  const types = (globalThis as { trustedTypes?: Trusted }).trustedTypes;
  // What is parsed is not put on the page: it is copied, by the lists above.
  policy ??= types?.createPolicy("mail", { createHTML: (text) => text });
  return new DOMParser().parseFromString(policy ? policy.createHTML(markup) : markup, "text/html");
}
let policy: ReturnType<Trusted["createPolicy"]> | undefined;

function copied(from: Node, into: Document, follow: (href: string) => void): Node[] {
  if (from.nodeType === Node.TEXT_NODE) return [into.createTextNode(from.textContent ?? "")];
  if (!(from instanceof Element) || DROPPED.has(from.tagName.toUpperCase())) return [];
  const children = [...from.childNodes].flatMap((child) => copied(child, into, follow));
  if (!ELEMENTS.has(from.tagName)) return children;
  const made = into.createElement(from.tagName);
  for (const { name, value } of from.attributes) if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
  made.style.cssText = from.getAttribute(STYLE) ?? "";
  const [href, src] = [from.getAttribute("href") ?? "", from.getAttribute("src") ?? ""];
  if (from.tagName === "A" && mayFollow(href)) {
    made.setAttribute("href", href);
    // Where a frame's clicks are not told to this script, the link opens a tab of its own.
    made.setAttribute("target", "_blank");
    made.setAttribute("rel", "noopener noreferrer");
    made.addEventListener("click", (event) => {
      event.preventDefault();
      follow(href);
    });
  }
  if (from.tagName === "IMG" && mayShow(src)) made.setAttribute("src", src);
  made.append(...children);
  return [made];
}

/** Shows a mail in the document of a frame. */
export function showMail(frame: HTMLIFrameElement, html: string, follow: (href: string) => void): void {
  const [into, view] = [frame.contentDocument, frame.contentWindow as (Window & typeof globalThis) | null];
  if (!into?.body || !view) return;
  const { markup, sheets } = inert(html);
  const { body } = parsed(markup);
  into.documentElement.lang = "en";
  into.adoptedStyleSheets = sheets.map((text) => {
    const sheet = new view.CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  into.body.className = body.className;
  into.body.style.cssText = body.getAttribute(STYLE) ?? "";
  into.body.replaceChildren(...[...body.childNodes].flatMap((child) => copied(child, into, follow)));
}
