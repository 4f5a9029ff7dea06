// What a demo can be made to do, and the mails that it took.
import { DemoService } from "../gen/highwater/v1/demo_pb";
import { client } from "./service";

export const demo = client(DemoService);
