/**
 * Writes server-sent events.
 * @module
 */
import { describeError } from "./errors.ts";

export interface ServerEvent {
  /** The event's name; chat completions use none. */
  readonly event?: string;
  readonly data: unknown;
}

export interface EventResponseOptions {
  /** Aborts the hosts' work when the client goes away. */
  readonly abort: AbortController;
  /** Ends the stream with `data: [DONE]`. */
  readonly done: boolean;
  /** How an error in mid-stream is written; by default as OpenAI's `{"error": ...}`. */
  readonly onError?: (error: unknown) => ServerEvent;
  /** Milliseconds without an event after which a comment is sent, so that nothing in between takes the stream for dead. */
  readonly heartbeat?: number;
  /** Called once, with the error that ended the stream if any. */
  readonly onEnd: (error?: unknown) => void;
}

/**
 * Streams events as they come. The first one is awaited before the response begins, so that what fails at once
 * still gets its own HTTP status.
 *
 * @throws whatever `events` throws before its first event.
 */
export async function eventResponse(events: AsyncGenerator<ServerEvent>, options: EventResponseOptions): Promise<Response> {
  const { abort, done, onEnd } = options;
  let next: Promise<IteratorResult<ServerEvent>> | null = Promise.resolve(await events.next());
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    // Called only when the client has room: a slow reader slows the host down instead of filling memory (CWE-770).
    async pull(controller) {
      try {
        next ??= events.next();
        const result = await (options.heartbeat ? within(next, options.heartbeat) : next);
        if (!result) return controller.enqueue(encoder.encode(": \n\n"));
        next = null;
        if (!result.done) return controller.enqueue(encoder.encode(frame(result.value)));
        if (done) controller.enqueue(encoder.encode("data: [DONE]\n\n"));
        onEnd();
      } catch (error) {
        if (abort.signal.aborted) {
          onEnd(error);
        } else {
          controller.enqueue(encoder.encode(frame(options.onError?.(error) ?? { data: describeError(error).body })));
          onEnd(error);
        }
      }
      controller.close();
    },
    async cancel() {
      abort.abort(new DOMException("The client went away.", "AbortError"));
      onEnd(abort.signal.reason);
      await events.return(undefined).catch(() => {});
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      // Said aloud, or the server waits for a second event to see whether it could state a length.
      "transfer-encoding": "chunked",
    },
  });
}

function frame({ event, data }: ServerEvent): string {
  return `${event ? `event: ${event}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
}

/** What a promise resolves to, or null where it takes longer. */
async function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, milliseconds, null)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
