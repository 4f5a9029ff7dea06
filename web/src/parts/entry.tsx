import { type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from "react";

const SHAPE = "rounded-[4px] border bg-ground px-2 text-text";

type SelectProps = Omit<SelectHTMLAttributes<HTMLSelectElement>, "id"> & { label: string; options: readonly (readonly [string, string])[]; hideLabel?: boolean };

/** A choice of few, with its label. */
export function Select({ label, options, hideLabel = false, className = "", ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className={className}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "block text-muted"}>
        {label}
      </label>
      <select id={id} className={`h-8 w-full ${hideLabel ? "" : "mt-1"} ${SHAPE}`} {...rest}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

type TextProps = Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "id"> & { label: string; hint?: ReactNode };

/** A few lines of text, with their label. */
export function Lines({ label, hint, className = "", ...rest }: TextProps) {
  const id = useId();
  return (
    <div className={className}>
      <label htmlFor={id} className="block text-muted">
        {label}
      </label>
      <textarea id={id} rows={3} aria-describedby={hint ? `${id}-about` : undefined} className={`mt-1 w-full py-1.5 ${SHAPE}`} {...rest} />
      {hint && (
        <p id={`${id}-about`} className="mt-1 text-muted">
          {hint}
        </p>
      )}
    </div>
  );
}

/** What went wrong with a form, and its buttons. */
export function FormEnd({ problem, children }: { problem?: string | undefined; children: ReactNode }) {
  return (
    <>
      {problem && (
        <p role="alert" className="mt-3 text-red">
          {problem}
        </p>
      )}
      <div className="mt-4 flex flex-wrap justify-end gap-2">{children}</div>
    </>
  );
}
