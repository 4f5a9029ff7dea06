// The clock of ages that are shown.
import { useEffect, useState } from "react";

/** Seconds since 1970, anew each `every` seconds. */
export function useNow(every = 1): number {
  const [now, setNow] = useState(() => Date.now() / 1_000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1_000), every * 1_000);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
