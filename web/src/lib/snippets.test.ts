import { expect, test } from "vitest";

import { hostPort, python, rust } from "./snippets";

const plain = new URL("http://127.0.0.1:7422/p/x");
const secure = new URL("https://highwater.example/");

test("the port is said where the address leaves it out", () => {
  expect([hostPort(plain), hostPort(secure)]).toEqual(["127.0.0.1:7422", "highwater.example:443"]);
});

test("a key and TLS are in the lines only where they are needed", () => {
  expect(python(plain, "demo", false)).not.toMatch(/token|tls|import os|import grpc/);
  expect(python(secure, "demo", true)).toMatch(/token=os\.environ.*tls=grpc/);
  expect(rust(plain, "demo", false)).not.toContain("authorization");
  expect(rust(secure, "demo", true)).toContain('from_static("https://highwater.example")');
});

test("they are ten lines or so", () => {
  for (const needsKey of [true, false]) {
    for (const lines of [python, rust]) expect(lines(secure, "demo", needsKey).split("\n").length).toBeLessThanOrEqual(11);
  }
});
