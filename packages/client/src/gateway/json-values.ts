/**
 * Finds JSON in what a model wrote.
 * @module
 */

/**
 * Reads consecutive JSON objects or arrays, separated by white space, `;` or `,`.
 * @returns null when anything else stands there, or the last value is unfinished.
 */
export function readJsonValues(text: string): unknown[] | null {
  const values: unknown[] = [];
  let rest = text.trim();
  while (rest) {
    const length = valueLength(rest);
    if (length === null) return null;
    const value = tryJson(rest.slice(0, length));
    if (value === undefined) return null;
    values.push(value);
    rest = rest.slice(length).replace(/^[\s;,]+/, "");
  }
  return values;
}

/** Characters of the object or array at the beginning of `text`; null where there is none or it does not end. */
export function valueLength(text: string): number | null {
  if (text[0] !== "{" && text[0] !== "[") return null;
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (inString) {
      if (character === "\\") index += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      depth -= 1;
      if (depth === 0) return index + 1;
    }
  }
  return null;
}

/** The value of a JSON text, or undefined. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The JSON text inside a Markdown code fence, which many models put around it however they are asked; otherwise the text itself. */
export function unfence(text: string): string {
  const trimmed = text.trim();
  return /^```[a-zA-Z]*\s*\n([\s\S]*?)\n?\s*```$/.exec(trimmed)?.[1]?.trim() ?? trimmed;
}
