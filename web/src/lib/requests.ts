// Increase requests: asked for, decided, listed.
import { RequestService } from "../gen/highwater/v1/request_pb";
import { client } from "./service";

export const requests = client(RequestService);
