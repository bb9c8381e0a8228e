/**
 * A title for a conversation that has none.
 * @module
 */

/** Characters. */
const LONGEST = 60;

/** The first line of what was said first, cut at a word; null where it has no visible character. */
export function titleOf(question: string): string | null {
  // A paste of megabytes has its first line early or not at all.
  const line = /\S[^\r\n]*/.exec(question.slice(0, 4096))?.[0].replace(/\s+/g, " ").trim();
  if (!line) return null;
  if (line.length <= LONGEST) return line;
  const cut = line.slice(0, LONGEST - 1);
  const space = cut.lastIndexOf(" ");
  const kept = space > LONGEST / 2 ? cut.slice(0, space) : cut.replace(/[\ud800-\udbff]$/, "");
  return `${kept}…`;
}
