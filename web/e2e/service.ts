// Starts the demo of the service for all tests, on a port and a directory of its own, and ends it after them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PORT } from "../playwright.config";

const STARTS_WITHIN_MS = 120_000;

export const binary = (): string => {
  const path = process.env["HIGHWATER_BIN"];
  if (!path) throw new Error("Set HIGHWATER_BIN to the binary of the service: the tests run against it.");
  return path;
};

/** Starts the service and waits until it answers. */
export async function start(args: string[], port: number, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const child = spawn(binary(), [...args, "--listen", `127.0.0.1:${port}`], { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...env } });
  const end = Date.now() + STARTS_WITHIN_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`The service ended with ${child.exitCode}.`);
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    if (answer?.ok) return child;
    await new Promise((done) => setTimeout(done, 200));
  }
  child.kill();
  throw new Error(`The service did not answer on port ${port} in time.`);
}

/** Ends it, and waits until it is gone. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((done) => {
    child.once("exit", () => done());
    child.kill(signal);
  });
}

export default async function setup(): Promise<() => Promise<void>> {
  const place = mkdtempSync(join(tmpdir(), "highwater-e2e-"));
  const child = await start(["demo", "--dir", join(place, "demo")], PORT);
  return async () => {
    await stop(child);
    rmSync(place, { recursive: true, force: true });
  };
}
