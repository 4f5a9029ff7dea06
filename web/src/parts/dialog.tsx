import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What it is for, in a sentence. */
  lead?: string;
  wide?: boolean;
  /** As wide as the page. */
  huge?: boolean;
  children: ReactNode;
}

/** The browser's own dialog: it keeps the focus and needs no style of a script, which the policy forbids. */
export function Dialog(props: Props) {
  return props.open ? <Opened {...props} /> : null;
}

function Opened({ onClose, title, lead, wide = false, huge = false, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // It gives the focus back to where it was.
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={`${id}-title`}
      aria-describedby={lead ? `${id}-lead` : undefined}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      className={`m-auto max-h-[92vh] w-[calc(100vw-24px)] overflow-auto rounded-[6px] border bg-ground p-0 text-text backdrop:bg-black/40 ${huge ? "max-w-[1180px]" : wide ? "max-w-[860px]" : "max-w-[480px]"}`}
    >
      <div className="p-5">
        <h2 id={`${id}-title`} className="text-[15px] font-semibold wrap-anywhere">
          {title}
        </h2>
        {lead && (
          <p id={`${id}-lead`} className="mt-1 text-muted">
            {lead}
          </p>
        )}
        <div className="mt-4">{children}</div>
      </div>
    </dialog>
  );
}
