// Light, dark, or as the system says.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

const isTheme = (text: string | null): text is Theme => text === "light" || text === "dark" || text === "system";

function stored(): Theme {
  try {
    const text = localStorage.getItem("highwater-theme");
    return isTheme(text) ? text : "system";
  } catch {
    return "system";
  }
}

let theme = stored();

function apply() {
  const dark = theme === "dark" || (theme === "system" && system.matches);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  listeners.forEach((listener) => listener());
}

system.addEventListener("change", apply);
apply();

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem("highwater-theme", next);
  } catch {
    // It is kept for this page alone.
  }
  apply();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => theme);
/** What is shown: charts draw their colours themselves. */
export const useShade = (): string => useSyncExternalStore(subscribe, () => document.documentElement.dataset["theme"] ?? "light");
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
