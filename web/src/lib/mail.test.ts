import { expect, test } from "vitest";

import { inert, mayFollow, mayShow } from "./mail";

test("nothing of a mail is in force when it is parsed", () => {
  const { markup, sheets } = inert(`<style media="all">p{color:red}</style><p style="x:y" title="a style=b">style="z" <b ONCLICK = "alert(1)" Style='q'>k</b></p><script>alert(1)</script><img onerror=alert(2)>`);
  expect(sheets).toEqual(["p{color:red}"]);
  expect(markup).toBe(`<p data-style="x:y" title="a data-style=b">style="z" <b data-dropped= "alert(1)" data-style='q'>k</b></p><img data-dropped=alert(2)>`);
});

test("links lead to web pages, and pictures are in the mail", () => {
  for (const href of ["https://highwater.example/p/demo", "http://127.0.0.1:23000/"]) expect(mayFollow(href)).toBe(true);
  for (const href of ["javascript:alert(1)", " https://x", "data:text/html,x", "/p/demo", ""]) expect(mayFollow(href)).toBe(false);
  expect(mayShow("data:image/png;base64,AAAA")).toBe(true);
  for (const src of ["https://x/y.png", "cid:week", "data:image/svg+xml;base64,AAAA", "data:text/html,x"]) expect(mayShow(src)).toBe(false);
});
