import * as Radix from "@radix-ui/react-dropdown-menu";
import { type ReactNode } from "react";

export interface Choice {
  label: ReactNode;
  key: string;
  onSelect: () => void;
  current?: boolean;
}

/** A button that opens a list of choices; not modal, since that would need an inline style, which the policy forbids. */
export function Menu({ label, children, choices }: { label: string; children: ReactNode; choices: Choice[] }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger aria-label={label} className="inline-flex h-7 max-w-56 items-center gap-1 rounded-[4px] px-1.5 hover:bg-raised">
        <span className="truncate">{children}</span>
        <span aria-hidden="true" className="text-faint">
          ▾
        </span>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content align="start" sideOffset={4} className="z-50 max-h-80 min-w-40 overflow-auto rounded-[5px] border bg-ground p-1">
          {choices.map(({ key, label: text, onSelect, current }) => (
            <Radix.Item
              key={key}
              onSelect={onSelect}
              className="flex h-7 cursor-pointer items-center justify-between gap-4 rounded-[3px] px-2 outline-none data-[highlighted]:bg-raised"
            >
              <span className="truncate">{text}</span>
              {current && <span aria-label="current">✓</span>}
            </Radix.Item>
          ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
