// What was read, kept while it is fresh: of the views, and of what is asked for before there is one.
import { QueryClient } from "@tanstack/react-query";

export const client = new QueryClient({
  defaultOptions: { queries: { retry: 1, refetchOnWindowFocus: false, staleTime: 5_000 } },
});
