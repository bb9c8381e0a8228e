/**
 * What went wrong, what to mind, and what is not there yet.
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import type { Failure } from "../../src/protocol/failure.ts";
import { Icon, type IconName } from "./icons.tsx";

export function Notice({
  kind,
  children,
}: {
  readonly kind?: "good" | "warning" | "bad";
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`notice ${kind ?? ""}`} role={kind === "bad" ? "alert" : undefined}>
      {children}
    </div>
  );
}

/** One line what is wrong, one what to do. */
export function FailureNotice({ failure }: { readonly failure: Failure | null }): JSX.Element | null {
  if (!failure) return null;
  return (
    <Notice kind="bad">
      <span>{sentence(failure.message)}</span>
      {failure.hint && <span class="small">{failure.hint}</span>}
    </Notice>
  );
}

/** A page without content says what would be here, and how to get it. */
export function Empty({
  title,
  icon,
  children,
}: {
  readonly title: string;
  readonly icon?: IconName;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      {icon && <Icon name={icon} size={28} />}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Messages of the program begin in lower case, since they follow its name in a terminal. Names and paths at their beginning stay as they are. */
export function sentence(text: string): string {
  return /^[a-z]+[\s,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
