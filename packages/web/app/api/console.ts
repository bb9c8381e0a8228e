/**
 * Talks to the console of the gateway that served this page.
 * @module
 */
import { signal } from "@preact/signals";
import { createParser } from "eventsource-parser";
import type { Failure } from "../../src/protocol/failure.ts";
import { accessHeader, granted } from "./access.ts";

/** Something that did not work, in words for a person. */
export class ConsoleError extends Error {
  readonly failure: Failure;
  readonly status: number;

  constructor(failure: Failure, status: number) {
    super(failure.message);
    this.failure = failure;
    this.status = status;
  }
}

/** Whether the gateway answers. */
export const reachable = signal(true);

const UNREACHABLE: Failure = {
  code: "GATEWAY_UNREACHABLE",
  message: "the gateway does not answer.",
  hint: "If it was stopped, start it again: npx unseen gateway. This page goes on by itself.",
};

/** What to tell a person of anything that was thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ConsoleError) return error.failure;
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON; a Blob as it is. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Sends one request and gives the answer's JSON. @throws ConsoleError, or the signal's reason */
export async function request<Answer>(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await send(path, options);
  return (response.status === 204 ? null : await response.json()) as Answer;
}

/** Fetches a file. @throws ConsoleError */
export async function download(path: string, options: RequestOptions = {}): Promise<Blob> {
  return (await send(path, options)).blob();
}

/** Reads server-sent events until the stream ends. @throws ConsoleError; the signal's reason */
export async function* events<Event>(path: string, signal: AbortSignal): AsyncGenerator<Event> {
  const response = await send(path, { signal });
  const waiting: Event[] = [];
  const parser = createParser({ onEvent: ({ data }) => void waiting.push(JSON.parse(data) as Event) });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(value);
      yield* waiting.splice(0);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof ConsoleError ? error : new ConsoleError(UNREACHABLE, 0);
  } finally {
    void reader.cancel().catch(() => {});
  }
}

async function send(path: string, { method = "GET", body, signal }: RequestOptions): Promise<Response> {
  const isJson = body !== undefined && !(body instanceof Blob);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...accessHeader(), ...(isJson ? { "content-type": "application/json" } : {}) },
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : (body as Blob) }),
      ...(signal ? { signal } : {}),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    signal?.throwIfAborted();
    reachable.value = false;
    throw new ConsoleError(UNREACHABLE, 0);
  }
  reachable.value = true;
  granted.value = response.status !== 401;
  if (response.ok) return response;
  const failure = await response
    .json()
    .then((answer: { error?: Failure }) => answer.error)
    .catch(() => undefined);
  throw new ConsoleError(failure ?? { code: "INTERNAL", message: `the gateway answered ${response.status}.` }, response.status);
}
