/** When the browser has nothing better to do: what is being drawn comes first. */
export const whenIdle = (): Promise<unknown> =>
  new Promise((done) => ("requestIdleCallback" in window ? requestIdleCallback(done, { timeout: 1_000 }) : setTimeout(done, 300)));
