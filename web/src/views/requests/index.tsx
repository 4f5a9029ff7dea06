export default function Requests({ project }: { project: string }) {
  return <h1 className="py-6 text-[20px] font-semibold">Requests of {project}</h1>;
}
