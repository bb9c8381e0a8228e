/**
 * Markdown to tokens, for text that grows and whose author is not trusted: all but its last two blocks are parsed once, and what would take
 * long or nest deeply stays plain text.
 * @module
 */
import { Lexer, type Token, type Tokens } from "marked";

/** Characters; longer texts are not parsed (CWE-400). */
const MAXIMUM_TEXT = 500_000;
/** Characters of one paragraph or cell whose emphasis and links are looked for; doing so may take the square of them (CWE-1333). */
const MAXIMUM_INLINE = 8_000;
/** ms for all paragraphs that are parsed at once; the rest stays plain text (CWE-400). */
const MAXIMUM_TIME = 200;
/** Lists and quotes in each other (CWE-674). */
export const MAXIMUM_DEPTH = 24;
/** Characters of a last block that is parsed again at every step; a longer one only when it has grown by a quarter. */
const LIVE_BLOCK = 12_000;

/** Text that is shown as it is. */
export interface Plain {
  readonly type: "plain";
  readonly raw: string;
}

export type Block = Token | Plain;

export interface GrowingMarkdown {
  /** Parses a text; where it begins with the one before, the tokens of what did not change are the very same objects. */
  parse(text: string, complete: boolean): readonly Block[];
}

/** Keeps the tokens of one text. */
export function growMarkdown(): GrowingMarkdown {
  let given: string | null = null;
  let givenComplete = false;
  let blocks: readonly Block[] = [];
  /** All blocks before the two last, which more text does not change, and how they read. */
  let firm: readonly Block[] = [];
  let firmText = "";
  let open: { readonly text: string; readonly blocks: readonly Block[] } = { text: "", blocks: [] };
  let links: Links = {};
  return {
    parse(raw, complete) {
      const text = raw.replaceAll(/\r\n?/g, "\n");
      if (text === given && complete === givenComplete) return blocks;
      [given, givenComplete] = [text, complete];
      // A reference may be defined after its use, which only the whole text tells.
      if (!text.startsWith(firmText) || (complete && Object.keys(links).length > 0)) [firm, firmText, links] = [[], "", {}];
      if (text.length > MAXIMUM_TEXT) return (blocks = [plain(text)]);
      const rest = text.slice(firmText.length);
      const waits = !complete && open.text.length > LIVE_BLOCK && rest.length < open.text.length * 1.25 && rest.startsWith(open.text);
      if (waits) return (blocks = [...firm, ...open.blocks, plain(rest.slice(open.text.length))]);
      const parsed = parseBlocks(rest, links);
      const content = [...parsed.keys()].filter((index) => parsed[index]!.type !== "space");
      // The two last stay open: the end of an unfinished line may look like a block of its own.
      const before = parsed.slice(0, content.at(-2) ?? 0);
      const beforeText = before.map((block) => block.raw).join("");
      if (rest.startsWith(beforeText)) {
        firm = [...firm, ...before];
        firmText += beforeText;
        open = { text: rest.slice(beforeText.length), blocks: parsed.slice(before.length) };
      } else open = { text: rest, blocks: parsed };
      return (blocks = [...firm, ...open.blocks]);
    },
  };
}

type Links = Lexer["tokens"]["links"];

function plain(raw: string): Plain {
  return { type: "plain", raw };
}

/** `links` are those defined so far, and take up new ones. */
function parseBlocks(text: string, links: Links): readonly Block[] {
  if (text === "") return [];
  if (nestsDeeply(text)) return [plain(text)];
  try {
    const lexer = new Lexer({ gfm: true, breaks: true });
    Object.assign(lexer.tokens.links, links);
    lexer.blockTokens(text, lexer.tokens);
    Object.assign(links, lexer.tokens.links);
    const end = performance.now() + MAXIMUM_TIME;
    for (const { src, tokens } of lexer.inlineQueue) {
      if (src.length > MAXIMUM_INLINE || performance.now() > end) tokens.push(literal(src));
      else lexer.inlineTokens(src, tokens);
    }
    return [...lexer.tokens];
  } catch {
    // Markup nested beyond the stack, or a defect of the parser: text is always right.
    return [plain(text)];
  }
}

function literal(text: string): Tokens.Text {
  return { type: "text", raw: text, text };
}

/** Whether a line opens more lists and quotes than are shown in each other, by its markers or by its indentation. */
function nestsDeeply(text: string): boolean {
  for (const [start] of text.matchAll(/^(?:[ \t]|>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))+/gm)) {
    const markers = start.match(/[>*+.)-]/g)?.length ?? 0;
    if (markers > 0 && markers + start.search(/[>*+\d-]/) / 2 > MAXIMUM_DEPTH) return true;
  }
  return false;
}
