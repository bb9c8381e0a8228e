/**
 * Markdown from an untrusted machine as elements: text is only ever text, nothing is loaded, and links say where they lead.
 * @module
 */
import { Component, type ComponentChildren, type JSX } from "preact";
import { useRef } from "preact/hooks";
import type { MarkedToken, Token, Tokens } from "marked";
import { decodeEntities, showHidden } from "./characters.ts";
import { CodeBlock } from "./code-block.tsx";
import { growMarkdown, MAXIMUM_DEPTH, type Block, type GrowingMarkdown, type Plain } from "./lex.ts";
import { safeLink } from "./links.ts";
import style from "./markdown.module.css";

/** Blocks from which on those that are not on the screen are not laid out. */
const LONG = 60;

export function Markdown({ text, complete }: { readonly text: string; readonly complete: boolean }): JSX.Element {
  const growing = useRef<GrowingMarkdown>(undefined);
  growing.current ??= growMarkdown();
  const blocks = growing.current.parse(text, complete);
  return (
    <div class={style["markdown"]} data-long={blocks.length > LONG} dir="auto">
      {blocks.map((block, index) => (
        <BlockView key={index} block={block} />
      ))}
    </div>
  );
}

/** Drawn again only when its block was parsed again. */
class BlockView extends Component<{ readonly block: Block }> {
  override shouldComponentUpdate(next: { readonly block: Block }): boolean {
    return next.block !== this.props.block;
  }

  override render({ block }: { readonly block: Block }): ComponentChildren {
    return elementOf(block as MarkedToken | Plain, 0);
  }
}

function elementsOf(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token) => elementOf(token as MarkedToken, depth + 1));
}

function elementOf(token: MarkedToken | Plain, depth: number): ComponentChildren {
  if (depth > MAXIMUM_DEPTH * 2) return token.raw;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading": {
      // The page's own headings come first in its outline.
      const Heading = `h${Math.min(6, token.depth + 2)}` as "h3";
      return (
        <Heading class={style[`h${token.depth}`]} dir="auto">
          {elementsOf(token.tokens, depth)}
        </Heading>
      );
    }
    case "paragraph":
      return <p dir="auto">{elementsOf(token.tokens, depth)}</p>;
    case "blockquote":
      return <blockquote>{elementsOf(token.tokens, depth)}</blockquote>;
    case "list":
      return <ListView list={token} depth={depth} />;
    case "checkbox":
      return <input type="checkbox" checked={token.checked} disabled aria-label={token.checked ? "Done" : "Not done"} />;
    case "table":
      return <TableView table={token} depth={depth} />;
    case "code":
      return <CodeBlock code={token.text} language={/^[\w+#.-]{1,30}/.exec(token.lang ?? "")?.[0] ?? ""} />;
    case "hr":
      return <hr />;
    case "br":
      return <br />;
    case "strong":
      return <strong>{elementsOf(token.tokens, depth)}</strong>;
    case "em":
      return <em>{elementsOf(token.tokens, depth)}</em>;
    case "del":
      return <del>{elementsOf(token.tokens, depth)}</del>;
    case "codespan":
      return <code>{showHidden(token.text)}</code>;
    case "link":
      return <LinkView address={token.href}>{elementsOf(token.tokens, depth)}</LinkView>;
    case "image":
      // Loading it would tell a stranger that, when and where this was read.
      return (
        <span class={style["picture"]}>
          Picture, not loaded: {decodeEntities(token.text)} <LinkView address={token.href}>{showHidden(token.href)}</LinkView>
        </span>
      );
    case "escape":
      return token.text;
    case "text":
      return token.tokens ? elementsOf(token.tokens, depth) : decodeEntities(token.text);
    default:
      // Markup of other languages, and whatever else there is.
      return "block" in token && !token.block ? token.raw : <p class={style["plain"]}>{token.raw}</p>;
  }
}

function ListView({ list, depth }: { readonly list: Tokens.List; readonly depth: number }): JSX.Element {
  const items = list.items.map((item, index) => (
    <li key={index} class={item.task ? style["task"] : undefined} dir="auto">
      {elementsOf(item.tokens, depth)}
    </li>
  ));
  return list.ordered ? <ol start={list.start === "" ? 1 : list.start}>{items}</ol> : <ul>{items}</ul>;
}

function TableView({ table, depth }: { readonly table: Tokens.Table; readonly depth: number }): JSX.Element {
  const cell = (of: Tokens.TableCell, index: number): JSX.Element => {
    const Cell = of.header ? "th" : "td";
    return (
      <Cell key={index} class={of.align ? style[of.align] : undefined} dir="auto">
        {elementsOf(of.tokens, depth)}
      </Cell>
    );
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>
          <tr>{table.header.map(cell)}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>{row.map(cell)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LinkView({ address, children }: { readonly address: string; readonly children: ComponentChildren }): JSX.Element {
  const target = safeLink(address, location.origin);
  if (target === null) return <span title={showHidden(address).slice(0, 200)}>{children}</span>;
  return (
    <a href={target} title={target} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
