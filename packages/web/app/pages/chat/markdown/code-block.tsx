/**
 * A block of code with its language, a button that copies it, and colours.
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { CopyButton } from "../../../parts/button.tsx";
import { useSeen } from "../thread/use-seen.ts";
import { showHidden } from "./characters.ts";
import { highlight, type HighlightNode } from "./highlight.ts";
import style from "./markdown.module.css";

export function CodeBlock({ code, language }: { readonly code: string; readonly language: string }): JSX.Element {
  // What is copied is what is shown: characters that hide stay visible.
  const shown = showHidden(code);
  const [seen, setSeen] = useState(false);
  const figure = useSeen<HTMLElement>(() => setSeen(true));
  const parts = seen ? highlight(shown, language.toLowerCase()) : null;
  return (
    <figure class={style["code"]} ref={figure}>
      <figcaption class={style["language"]}>
        <span>{language === "" ? "Text" : showHidden(language)}</span>
        <CopyButton text={shown} label="Copy the code" />
      </figcaption>
      <pre tabIndex={0} aria-label={language === "" ? "Code" : `Code in ${language}`}>
        <code>{parts ? parts.map(nodeOf) : shown}</code>
      </pre>
    </figure>
  );
}

function nodeOf(node: HighlightNode): ComponentChildren {
  if (node.type === "text") return node.value;
  if (node.type !== "element") return null;
  const names = node.properties["className"];
  return (
    <span class={Array.isArray(names) ? names.join(" ") : undefined}>{node.children.map((child) => nodeOf(child as HighlightNode))}</span>
  );
}
