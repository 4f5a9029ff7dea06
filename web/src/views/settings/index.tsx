export default function Settings({ project }: { project: string }) {
  return <h1 className="py-6 text-[20px] font-semibold">Settings of {project}</h1>;
}
