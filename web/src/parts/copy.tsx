import { useEffect, useRef, useState } from "react";

import { Button } from "./button";

const SAID_FOR_MS = 2_000;

/** Copies a text, and says so. Where the clipboard is closed, the text is selected, to be copied by hand. */
export function Copy({ text, label = "Copy", children = "Copy", select }: { text: string; label?: string; children?: string; select?: () => void }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SAID_FOR_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      select?.();
      setSaid("Press Ctrl-C");
    }
  };
  return (
    <>
      <Button onClick={copy} aria-label={label}>
        {said || children}
      </Button>
      <span role="status" className="sr-only">
        {said}
      </span>
    </>
  );
}

/** Lines to take along. */
export function CopyLines({ text, label }: { text: string; label: string }) {
  const box = useRef<HTMLPreElement>(null);
  const select = () => box.current && getSelection()?.selectAllChildren(box.current);
  return (
    <div className="relative">
      <pre ref={box} tabIndex={0} aria-label={label} className={`overflow-x-auto rounded-[4px] border bg-raised p-3 pr-20 font-mono text-[12px] leading-[18px] ${text.includes("\n") ? "max-sm:pt-12" : ""}`}>
        {text}
      </pre>
      <div className="absolute top-2 right-2">
        <Copy text={text} label={`Copy ${label}`} select={select} />
      </div>
    </div>
  );
}

/** What is shown once. */
export function Secret({ text, label }: { text: string; label: string }) {
  const box = useRef<HTMLElement>(null);
  const select = () => box.current && getSelection()?.selectAllChildren(box.current);
  return (
    <div className="flex items-center gap-2 rounded-[4px] border bg-raised p-2">
      <code ref={box} aria-label={label} className="min-w-0 grow font-mono text-[12px] wrap-anywhere">
        {text}
      </code>
      <Copy text={text} label={`Copy ${label}`} select={select} />
    </div>
  );
}
