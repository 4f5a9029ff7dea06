// The page itself: what draws. Loaded when what it draws has been asked for.
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app";
import { client } from "./lib/client";
import { Boundary } from "./parts/boundary";

export function show(page: HTMLElement): void {
  createRoot(page).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Boundary>
          <App />
        </Boundary>
      </QueryClientProvider>
    </StrictMode>,
  );
}
