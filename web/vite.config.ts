import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { type Plugin } from "vite";
import { defineConfig } from "vitest/config";

const service = process.env["HIGHWATER_URL"] ?? "http://127.0.0.1:23000";
const proxy = Object.fromEntries(["/highwater.v1", "/session", "/healthz"].map((path) => [path, { target: service }]));

/** As the service sends it: what is previewed is under the same policy. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/** What draws is fetched at the same time as what asks for what it draws. */
const drawnSoon: Plugin = {
  name: "drawn-soon",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle = {}, chunk: entry }) => {
      const chunks = Object.values(bundle).flatMap((of) => (of.type === "chunk" ? of : []));
      const drawing = chunks.find(({ isDynamicEntry, moduleIds }) => isDynamicEntry && moduleIds.some((id) => id.endsWith("/src/page.tsx")));
      if (!drawing) return [];
      const files = [drawing.fileName, ...drawing.imports].filter((name) => name !== entry?.fileName);
      return files.map((name) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `/${name}` }, injectTo: "head" }));
    },
  },
};

export default defineConfig({
  plugins: [react(), tailwindcss(), drawnSoon],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { port: 23173, proxy },
  preview: { port: 23174, proxy, headers: { "content-security-policy": POLICY } },
  // A busy machine is no mistake.
  test: { include: ["src/**/*.test.ts"], testTimeout: 60_000 },
});
