// The service's calls, over gRPC-Web. There is nothing else that the page reads.
import { type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type Interceptor, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { type Columns, ColumnsSchema } from "../gen/columns_pb";
import { AdminService } from "../gen/highwater/v1/admin_pb";
import { LimitService } from "../gen/highwater/v1/limit_pb";
import { type GetHistoryRequestSchema, QuotaService } from "../gen/highwater/v1/quota_pb";

/** Told when a call was refused for want of a credential: the page keeps its view and asks. */
export const unauthenticated = new EventTarget();
let asked = false;
unauthenticated.addEventListener("asked", () => (asked = true));
/** Whether a call was refused so before there was a page to tell. */
export const wasAsked = (): boolean => asked;

/** Header of every call of the page: other sites can't set it. */
export const OWN_HEADER = { "X-Highwater": "1" } as const;

const asOurs: Interceptor = (next) => async (request) => {
  request.header.set("X-Highwater", "1");
  try {
    return await next(request);
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unauthenticated) unauthenticated.dispatchEvent(new Event("asked"));
    throw error;
  }
};

const transport = createGrpcWebTransport({
  baseUrl: location.origin,
  interceptors: [asOurs],
  fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
});

/** What the page begins with is here; what a view alone calls is in a file of its own (`lib/alerts`, `lib/chains`, `lib/demo`, `lib/forecast`, `lib/requests`), loaded with it. */
export const client = <S extends DescService>(service: S): Client<S> => createClient(service, transport);

export const quotas = /* @__PURE__ */ client(QuotaService);
export const limits = /* @__PURE__ */ client(LimitService);
export const admin = /* @__PURE__ */ client(AdminService);

/** The answer of `GetHistory`, its columns as they came. */
export async function columnsOf(request: MessageInitShape<typeof GetHistoryRequestSchema>): Promise<Columns> {
  const method = { ...QuotaService.method.getHistory, output: ColumnsSchema };
  return (await transport.unary(method, undefined, undefined, undefined, request)).message;
}

/** An error in a sentence that a person can use. */
export function words(error: unknown): string {
  const known = ConnectError.from(error);
  switch (known.code) {
    case Code.Unavailable:
      return "The service can't be reached.";
    case Code.Unimplemented:
      return "This version of the service does not answer that yet.";
    case Code.Unauthenticated:
      return "Sign in to see this.";
    case Code.Unknown:
      return /fetch|network/i.test(known.rawMessage) ? "The service can't be reached." : known.rawMessage;
    default:
      return known.rawMessage || "Something went wrong.";
  }
}
