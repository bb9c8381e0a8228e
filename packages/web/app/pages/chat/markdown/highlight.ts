/**
 * Colours for code, loaded when there is code to colour.
 * @module
 */
import { signal } from "@preact/signals";

/** Characters; grammars may take long for more (CWE-1333). */
const MAXIMUM_CODE = 20_000;

type Highlighter = ReturnType<(typeof import("lowlight"))["createLowlight"]>;

/** What the highlighter makes: nested spans with classes, and text. */
export type HighlightNode = ReturnType<Highlighter["highlight"]>["children"][number];

const highlighter = signal<Highlighter | null>(null);
let asked = false;

/** Parts of a code in a named language; null where there are none yet, or where the language is not known. */
export function highlight(code: string, language: string): readonly HighlightNode[] | null {
  if (language === "" || code.length > MAXIMUM_CODE) return null;
  if (!asked) {
    asked = true;
    // Without colours, code is still code.
    void loadHighlighter().catch(() => {
      asked = false;
    });
  }
  const loaded = highlighter.value;
  if (!loaded?.registered(language)) return null;
  try {
    return loaded.highlight(language, code).children;
  } catch {
    return null;
  }
}

async function loadHighlighter(): Promise<void> {
  const { common, createLowlight } = await import("lowlight");
  highlighter.value = createLowlight(common);
}
