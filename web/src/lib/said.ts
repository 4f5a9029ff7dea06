// What happened, in a sentence, with a way back where there is one: the newest is shown, and read aloud.
import { useSyncExternalStore } from "react";

export interface Said {
  nth: number;
  text: string;
  undo?: () => Promise<unknown>;
}

let said: Said | undefined;
let nth = 0;
const listeners = new Set<() => void>();

function set(next: Said | undefined): void {
  said = next;
  listeners.forEach((listener) => listener());
}

export const say = (text: string, undo?: () => Promise<unknown>): void => set({ nth: ++nth, text, ...(undo && { undo }) });
export const hush = (): void => set(undefined);

export const useSaid = (): Said | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => said,
  );
