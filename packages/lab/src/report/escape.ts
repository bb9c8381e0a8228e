/**
 * HTML that escapes by default: what is not {@link Html} already becomes text.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** Finished markup. Only {@link html} and {@link trusted} make it. */
export class Html {
  readonly #markup: string;

  constructor(markup: string) {
    this.#markup = markup;
  }

  toString(): string {
    return this.#markup;
  }
}

/** What may stand in a template; null is nothing. */
export type HtmlValue = Html | string | number | null | readonly HtmlValue[];

/**
 * Template of HTML or SVG. Values are escaped for text and for quoted attributes, lists are joined.
 *
 * @throws UnseenError `INTERNAL` for a value right after `=`: an attribute without quotes cannot be escaped (CWE-116)
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let markup = parts[0] as string;
  for (const [index, value] of values.entries()) {
    if (parts[index]?.endsWith("="))
      throw new UnseenError("INTERNAL", `template ${JSON.stringify(parts[index]?.slice(-40))}: expected a quoted attribute, got none.`);
    markup += `${render(value)}${parts[index + 1]}`;
  }
  return new Html(markup);
}

/** Markup of ours that goes in as it is: never anything from a report. */
export function trusted(markup: string): Html {
  return new Html(markup);
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;" };

/** Text for HTML: markup becomes characters (CWE-79). */
export function escapeText(text: string): string {
  return visible(text).replace(/[&<>"'`]/g, (character) => ENTITIES[character] as string);
}

/** Text without control characters and changes of direction, which would show something else than there is (CWE-1007); � stands for them. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.toWellFormed().replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\uFFFD");
}

function render(value: HtmlValue): string {
  if (value === null) return "";
  if (value instanceof Html) return value.toString();
  if (typeof value === "object") return value.map(render).join("");
  return escapeText(String(value));
}
