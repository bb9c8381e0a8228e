/**
 * Bodies as unnamed server-sent events.
 * @module
 */
import type { ServerEvent } from "../openai/event-response.ts";

export async function* asEvents(bodies: AsyncIterable<unknown>): AsyncGenerator<ServerEvent> {
  for await (const data of bodies) yield { data };
}
