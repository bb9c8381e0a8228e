/**
 * Applies the events of an answer, many at once: a fast model says more in a second than a screen can draw.
 * @module
 */
import type { Signal } from "@preact/signals";
import type { AnswerEvent, Message, WirePiece } from "../../../../src/protocol/conversations.ts";
import { exchangesOf, withPieces, type Exchange } from "./host-views.ts";

const HIDDEN_PERIOD = 250; // ms; a page in the background draws nothing

/** Puts what comes between two drawings of the screen together. */
export function batchDeltas(
  entry: Signal<Message>,
  side: Signal<readonly Exchange[] | null>,
): { add(event: AnswerEvent): void; flush(): void } {
  let content = "";
  let reasoning = "";
  let pieces: WirePiece[] = [];
  let waiting = false;
  const flush = (): void => {
    waiting = false;
    if (content !== "" || reasoning !== "") {
      const message = entry.peek();
      entry.value = { ...message, content: message.content + content, reasoning: message.reasoning + reasoning };
      content = reasoning = "";
    }
    if (pieces.length > 0) {
      side.value = withPieces(side.peek() ?? [], pieces);
      pieces = [];
    }
  };
  return {
    flush,
    add(event) {
      if (event.kind === "snapshot") {
        entry.value = event.message;
        // Of an answer that ended with a gateway nothing may be kept: what was seen live is then all there is.
        if (event.message.state === "streaming" || event.view.exchanges.length > 0) side.value = exchangesOf(event.view);
      } else if (event.kind === "end") {
        flush();
        entry.value = event.message;
      } else {
        if (event.kind === "delta") {
          content += event.content;
          reasoning += event.reasoning;
        } else pieces.push(event);
        if (waiting) return;
        waiting = true;
        if (document.hidden) setTimeout(flush, HIDDEN_PERIOD);
        else requestAnimationFrame(flush);
      }
    },
  };
}
