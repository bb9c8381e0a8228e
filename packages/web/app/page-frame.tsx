/**
 * What every page but the chat begins with.
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";

export function PageFrame({
  title,
  summary,
  children,
}: {
  readonly title: string;
  /** One or two sentences: what one does here. */
  readonly summary: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  useTitle(title);
  return (
    <div class="page stack">
      <header>
        <h1 tabIndex={-1}>{title}</h1>
        <p class="quiet">{summary}</p>
      </header>
      {children}
    </div>
  );
}

/** The name of the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Unseen`;
  }, [title]);
}
