export default function Operator({ project }: { project: string }) {
  return <h1 className="py-6 text-[20px] font-semibold">Operator of {project}</h1>;
}
