import { type InputHTMLAttributes, type ReactNode, useId } from "react";

type Props = Omit<InputHTMLAttributes<HTMLInputElement>, "id"> & { label: string; hint?: ReactNode; error?: string };

/** An input with its label, and what is wrong with it. */
export function Field({ label, hint, error, className = "", ...rest }: Props) {
  const id = useId();
  const about = error || hint ? { "aria-describedby": `${id}-about` } : {};
  return (
    <div className={className}>
      <label htmlFor={id} className="block text-muted">
        {label}
      </label>
      <input
        id={id}
        aria-invalid={Boolean(error)}
        {...about}
        className="mt-1 h-8 w-full rounded-[4px] border bg-ground px-2 text-text aria-invalid:border-red"
        {...rest}
      />
      {(error || hint) && (
        <p id={`${id}-about`} className={`mt-1 ${error ? "text-red" : "text-muted"}`}>
          {error || hint}
        </p>
      )}
    </div>
  );
}
