import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";

import { useAddress } from "../../lib/address";
import { watchAgain } from "../../lib/live";
import { unauthenticated } from "../../lib/service";
import { signIn } from "../../lib/session";
import { Button } from "../../parts/button";
import { Dialog } from "../../parts/dialog";
import { FormEnd } from "../../parts/entry";
import { Field } from "../../parts/field";

/** Answers to calls that were on their way when the sign-in came are not asked about again. */
const LATE_ANSWERS_MS = 1_500;

/** Asks for a key or a token; the view behind stays. */
export default function SignIn() {
  const client = useQueryClient();
  const { project } = useAddress();
  const [open, setOpen] = useState(true);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const signedInAt = useRef(0);
  const hadCaller = client.getQueryData(["caller"]) !== undefined;

  useEffect(() => {
    const ask = () => Date.now() - signedInAt.current > LATE_ANSWERS_MS && setOpen(true);
    unauthenticated.addEventListener("asked", ask);
    return () => unauthenticated.removeEventListener("asked", ask);
  }, []);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const token = String(new FormData(event.currentTarget).get("token") ?? "").trim();
    if (!token) return setProblem("Paste a key or a token.");
    setBusy(true);
    const refused = await signIn(token);
    setBusy(false);
    setProblem(refused);
    if (refused) return;
    signedInAt.current = Date.now();
    setOpen(false);
    await client.invalidateQueries();
    watchAgain();
  };

  return (
    <Dialog
      open={open}
      onClose={() => project && setOpen(false)}
      title={hadCaller ? "Your sign-in has ended" : "Sign in"}
      lead={
        hadCaller
          ? "Sign in again and you are back where you were."
          : "With an API key of this service, or an access token of LiveKit. It is kept in this browser in a cookie that no script can read."
      }
    >
      <form onSubmit={submit}>
        {/* For password managers: there is no user name. */}
        <input type="text" name="username" autoComplete="username" hidden readOnly value="highwater" />
        <Field
          label="Key or token"
          name="token"
          type="password"
          autoComplete="current-password"
          autoFocus
          spellCheck={false}
          placeholder="hwm_…"
          hint={
            <>
              Who runs the service makes one: <code className="font-mono text-[12px]">highwater keys create --role viewer</code>
            </>
          }
        />
        <FormEnd problem={problem}>
          {project && <Button onClick={() => setOpen(false)}>Not now</Button>}
          <Button look="main" type="submit" disabled={busy}>
            Sign in
          </Button>
        </FormEnd>
      </form>
    </Dialog>
  );
}
