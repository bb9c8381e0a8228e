/**
 * Buttons.
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "./announcer.tsx";
import { Icon, type IconName } from "./icons.tsx";

export interface ButtonProperties {
  readonly kind?: "primary" | "danger" | "plain";
  readonly icon?: IconName;
  readonly tiny?: boolean;
  readonly disabled?: boolean;
  readonly type?: "button" | "submit";
  /** What it does, where its words alone do not say it. */
  readonly title?: string;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
  readonly onClick?: (event: MouseEvent) => void;
  readonly children: ComponentChildren;
}

export function Button({
  kind,
  icon,
  tiny,
  disabled,
  type = "button",
  title,
  pressed,
  expanded,
  onClick,
  children,
}: ButtonProperties): JSX.Element {
  return (
    <button
      type={type}
      class={`button ${kind ?? ""} ${tiny ? "tiny" : ""}`}
      disabled={disabled}
      title={title}
      aria-pressed={pressed}
      aria-expanded={expanded}
      onClick={onClick}
    >
      {icon && <Icon name={icon} size={tiny ? 16 : 18} />}
      {children}
    </button>
  );
}

/** A button of an icon alone; `label` is heard, and shown when pointed at. */
export function IconButton({
  label,
  icon,
  kind = "plain",
  tiny,
  ...rest
}: Omit<ButtonProperties, "children" | "icon" | "title"> & { readonly label: string; readonly icon: IconName }): JSX.Element {
  return (
    <button
      type={rest.type ?? "button"}
      class={`button icon ${kind} ${tiny ? "tiny" : ""}`}
      disabled={rest.disabled}
      title={label}
      aria-label={label}
      aria-pressed={rest.pressed}
      aria-expanded={rest.expanded}
      onClick={rest.onClick}
    >
      <Icon name={icon} size={tiny ? 16 : 20} />
    </button>
  );
}

/** Copies a text, and says so. */
export function CopyButton({ text, label = "Copy" }: { readonly text: string | (() => string); readonly label?: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
    } catch {
      return announce("The browser does not let this page copy. Select the text and copy it by hand.");
    }
    announce("Copied.");
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1500);
  };
  return <IconButton label={label} icon={copied ? "check" : "copy"} tiny onClick={() => void copy()} />;
}
