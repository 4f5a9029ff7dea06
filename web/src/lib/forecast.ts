// What other limits and assignments would have meant.
import { ForecastService } from "../gen/highwater/v1/forecast_pb";
import { client } from "./service";

export const forecast = client(ForecastService);
