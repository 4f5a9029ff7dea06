/** An empty project: how to connect a worker. */
export default function FirstUse({ project }: { project: string }) {
  return <p className="py-6">Nothing was reported in {project} yet.</p>;
}
