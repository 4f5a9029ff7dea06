import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const service = process.env["HIGHWATER_URL"] ?? "http://127.0.0.1:23000";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    port: 23173,
    proxy: Object.fromEntries(["/highwater.v1", "/session", "/healthz"].map((path) => [path, { target: service }])),
  },
  test: { include: ["src/**/*.test.ts"] },
});
