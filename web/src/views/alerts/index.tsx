export default function Alerts({ project }: { project: string }) {
  return <h1 className="py-6 text-[20px] font-semibold">Alerts of {project}</h1>;
}
