/**
 * Reads server-sent events from an untrusted sender.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { createParser } from "eventsource-parser";

/** Characters of one unfinished event (CWE-770): a chunk with 20 alternatives per token needs a few thousand. */
const MAXIMUM_EVENT_CHARACTERS = 1_000_000;
/** Bytes between two events (CWE-770). */
const MAXIMUM_IDLE_BYTES = 4_000_000;

/**
 * Yields the `data` of each event as it arrives.
 *
 * @param touch - Called for every piece of bytes, comments included: a host that queues a request may keep it alive with them.
 * @throws UnseenError HOST_PROTOCOL when an event exceeds the limit or the bytes are not UTF-8.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>, touch: () => void): AsyncGenerator<string> {
  const events: string[] = [];
  const parser = createParser({
    maxBufferSize: MAXIMUM_EVENT_CHARACTERS,
    onEvent: (event) => events.push(event.data),
    onError: (error) => {
      // Unknown fields are legal and ignored; only a flood is an error.
      if (error.type === "max-buffer-size-exceeded") throw malformed("an event longer than a million characters");
    },
  });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let idleBytes = 0;
  for await (const bytes of body) {
    touch();
    // Comments keep a connection alive; a megabyte of them is a flood that the parser itself does not count.
    idleBytes += bytes.length;
    parser.feed(decode(decoder, bytes));
    if (events.length > 0) idleBytes = 0;
    else if (idleBytes > MAXIMUM_IDLE_BYTES) throw malformed("megabytes without an event");
    yield* events.splice(0);
  }
}

function decode(decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: true });
  } catch (cause) {
    throw malformed("bytes that are not UTF-8", cause);
  }
}

function malformed(what: string, cause?: unknown): UnseenError {
  return new UnseenError("HOST_PROTOCOL", `the host's event stream holds ${what}.`, {
    hint: "Check that the address is a token server's.",
    cause,
  });
}
