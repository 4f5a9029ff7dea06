export default function Quotas({ project }: { project: string }) {
  return <h1>{project}</h1>;
}
