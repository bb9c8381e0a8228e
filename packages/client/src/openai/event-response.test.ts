/** A stream of events that has nothing to tell for a while. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventResponse, type ServerEvent } from "./event-response.ts";

test("comments fill a silence, and no event is lost or told twice", async () => {
  async function* events(): AsyncGenerator<ServerEvent> {
    yield { data: 1 };
    await sleep(120);
    yield { data: 2 };
    yield { data: 3 };
  }
  const response = await eventResponse(events(), { abort: new AbortController(), done: false, heartbeat: 25, onEnd: () => {} });
  const text = await response.text();
  assert.match(text, /^data: 1\n\n(: \n\n){1,10}data: 2\n\ndata: 3\n\n$/);
});

test("leaving during a silence ends the events", async () => {
  const abort = new AbortController();
  let left = false;
  async function* events(): AsyncGenerator<ServerEvent> {
    try {
      yield { data: 1 };
      await sleep(60_000, undefined, { signal: abort.signal }).catch(() => {});
    } finally {
      left = true;
    }
  }
  const response = await eventResponse(events(), { abort, done: false, heartbeat: 10, onEnd: () => {} });
  const reader = response.body!.getReader();
  await reader.read();
  await reader.read();
  await reader.cancel();
  assert.ok(left);
});
