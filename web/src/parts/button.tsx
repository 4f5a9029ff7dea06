import { type ButtonHTMLAttributes } from "react";

type Props = ButtonHTMLAttributes<HTMLButtonElement> & { look?: "plain" | "main" | "quiet" | "danger" };

const LOOKS = {
  plain: "border bg-ground px-2.5 hover:bg-raised",
  main: "border border-blue bg-blue px-2.5 text-ground hover:opacity-90",
  quiet: "px-1.5 text-muted hover:text-text hover:bg-raised",
  danger: "border border-red px-2.5 text-red hover:bg-red-tint",
};

export function Button({ look = "plain", className = "", type = "button", ...rest }: Props) {
  const shape = "inline-flex h-7 items-center gap-1.5 rounded-[4px] whitespace-nowrap";
  return <button type={type} className={`${shape} ${LOOKS[look]} ${className}`} {...rest} />;
}
