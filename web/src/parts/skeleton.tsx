/** The place of something that is on its way; it is seen after 150 ms. */
export function Skeleton({ className = "" }: { className?: string }) {
  return <div aria-hidden="true" className={`skeleton ${className}`} />;
}

/** A table that is on its way. */
export function SkeletonRows({ rows }: { rows: number }) {
  return (
    <div aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, nth) => (
        <div key={nth} className="flex h-9 items-center border-b">
          <Skeleton className="h-4 w-full" />
        </div>
      ))}
    </div>
  );
}
