// Signing in and out: the key goes to the service once, which keeps it in a cookie that scripts can't read.
import { OWN_HEADER } from "./service";

const UNREACHED = "The service can't be reached.";

/** Why it was refused; empty when it was not. */
export async function signIn(token: string): Promise<string> {
  try {
    const answer = await fetch("/session", {
      method: "POST",
      credentials: "same-origin",
      headers: { ...OWN_HEADER, "content-type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) return "";
    return refusal(await answer.json().catch(() => undefined));
  } catch {
    return UNREACHED;
  }
}

const refusal = (said: unknown): string =>
  typeof said === "object" && said !== null && "error" in said && typeof said.error === "string" && said.error
    ? said.error
    : "This key or token was refused.";

/** Signs out, and opens the page anew so that nothing that was read stays on the screen. */
export async function signOut(): Promise<void> {
  await fetch("/session", { method: "DELETE", credentials: "same-origin", headers: OWN_HEADER });
  location.reload();
}
