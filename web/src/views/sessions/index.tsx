export default function Sessions({ project }: { project: string }) {
  return <h1 className="py-6 text-[20px] font-semibold">Sessions of {project}</h1>;
}
