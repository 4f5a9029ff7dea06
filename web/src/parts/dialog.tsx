import * as Radix from "@radix-ui/react-dialog";
import { type ReactNode } from "react";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What it is for, in a sentence. */
  lead?: string;
  wide?: boolean;
  children: ReactNode;
}

export function Dialog({ open, onClose, title, lead, wide = false, children }: Props) {
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <Radix.Content
          {...(!lead && { "aria-describedby": undefined })}
          className={`fixed top-1/2 left-1/2 z-50 max-h-[92vh] w-[calc(100vw-24px)] -translate-x-1/2 -translate-y-1/2 overflow-auto rounded-[6px] border bg-ground p-5 ${wide ? "max-w-[860px]" : "max-w-[480px]"}`}
        >
          <Radix.Title className="text-[15px] font-semibold">{title}</Radix.Title>
          {lead && <Radix.Description className="mt-1 text-muted">{lead}</Radix.Description>}
          <div className="mt-4">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
