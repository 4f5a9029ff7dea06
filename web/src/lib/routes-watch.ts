// The routes of a project as they change: one watch a browser, as of the live list. Each message is whole, so that a tab that
// comes later is told the last.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { RouteService, type Routes, RoutesSchema } from "../gen/highwater/v1/route_pb";
import { client } from "./service";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

const routes = client(RouteService);

type Told = { heard: Uint8Array } | { ask: true };

/** Tells the routes of now and each that comes after them, until what it returns is called. */
export function watchRoutes(project: string, tell: (routes: Routes) => void): () => void {
  const name = `highwater-routes-${project}`;
  const channel = new BroadcastChannel(name);
  const ending = new AbortController();
  const { signal } = ending;
  let leads = false;
  let last: Routes | undefined;
  const hear = (heard: Routes) => {
    last = heard;
    tell(heard);
  };
  const pass = (heard: Routes) => channel.postMessage({ heard: toBinary(RoutesSchema, heard) } satisfies Told);
  channel.onmessage = ({ data }: MessageEvent<Told>) => {
    if ("heard" in data) hear(fromBinary(RoutesSchema, data.heard));
    else if (leads && last) pass(last);
  };
  channel.postMessage({ ask: true } satisfies Told);

  const lead = async () => {
    leads = true;
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        for await (const message of routes.watchRoutes({ project }, { signal })) {
          wait = FIRST_WAIT_MS;
          if (!message.routes) continue;
          pass(message.routes);
          hear(message.routes);
        }
      } catch (error) {
        // A service without routes will have none later.
        if (signal.aborted || ConnectError.from(error).code === Code.Unimplemented) return;
      }
      // With jitter, so that all browsers do not come back at once.
      await new Promise((done) => setTimeout(done, wait * (0.5 + Math.random())));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  };
  navigator.locks.request(name, { signal }, lead).catch(() => undefined);
  return () => {
    ending.abort();
    channel.close();
  };
}
