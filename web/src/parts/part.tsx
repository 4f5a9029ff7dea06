// Parts of the page that are loaded when they are first shown. One that can't be loaded says so in its own place.
import { type ComponentType, type ReactNode, useEffect, useReducer, useState } from "react";

import { Failed } from "./failed";

/** A component of a file of its own; `waiting` stands in its place until it is there. */
export function part<P extends object>(what: string, load: () => Promise<ComponentType<P>>, waiting: ReactNode = null): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Part(props: P) {
    const [Loaded, show] = useState<ComponentType<P> | undefined>(() => loaded);
    const [isMissing, setMissing] = useState(false);
    const [attempt, again] = useReducer((attempts: number) => attempts + 1, 0);
    useEffect(() => {
      let isThere = true;
      setMissing(false);
      load().then(
        (component) => {
          loaded = component;
          if (isThere) show(() => component);
        },
        () => {
          if (isThere) setMissing(true);
        },
      );
      return () => {
        isThere = false;
      };
    }, [attempt]);
    if (Loaded) return <Loaded {...props} />;
    return isMissing ? <Failed what={what} error={new Error("The service does not answer.")} retry={again} /> : waiting;
  };
}
