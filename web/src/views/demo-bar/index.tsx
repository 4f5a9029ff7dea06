/** What a demo can be made to do. */
export default function DemoBar() {
  return null;
}
