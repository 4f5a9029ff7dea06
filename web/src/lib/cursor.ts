// The minute that is looked at: all charts share it.
import { useSyncExternalStore } from "react";

export interface Cursor {
  /** Start of the minute, seconds since 1970; none when nothing is looked at. */
  at: number | null;
  /** It stays when the pointer leaves. */
  pinned: boolean;
  /** The section whose chart it was set in: the one that reads it aloud. */
  section: string;
}

let cursor: Cursor = { at: null, pinned: false, section: "" };
const listeners = new Set<() => void>();

export function setCursor(next: Partial<Cursor>): void {
  const changed = { ...cursor, ...next };
  if (changed.at === cursor.at && changed.pinned === cursor.pinned && changed.section === cursor.section) return;
  cursor = changed;
  listeners.forEach((listener) => listener());
}

export const getCursor = (): Cursor => cursor;

export function onCursor(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useCursor = (): Cursor => useSyncExternalStore(onCursor, getCursor);
