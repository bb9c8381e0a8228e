import assert from "node:assert/strict";
import { test } from "node:test";
import { finalStates, states } from "../protocol.ts";
import { advance, type Actor, type JobEvent } from "./job-states.ts";

const events: readonly JobEvent[] = ["submit", "claim", "done", "retry", "fail", "expire", "features", "overdue", "cancel"];
const actors: readonly Actor[] = ["user", "enclave", "creator", "hub"];

test("a job's way, and how often a step is begun", () => {
  let position = { state: "uploading", attempts: 0 } as Parameters<typeof advance>[0];
  const way: [JobEvent, Actor][] = [
    ["submit", "user"],
    ["claim", "enclave"],
    ["expire", "hub"],
    ["claim", "enclave"],
    ["done", "enclave"],
    ["features", "user"],
    ["claim", "creator"],
    ["retry", "creator"],
    ["claim", "creator"],
    ["done", "creator"],
  ];
  const seen = way.map(([event, by]) => {
    position = advance(position, event, by, 3) ?? assert.fail(`${event} by ${by} in ${position.state}`);
    return `${position.state} ${position.attempts}`;
  });
  assert.deepEqual(seen, [
    "queued 0",
    "evaluating 1",
    "queued 1",
    "evaluating 2",
    "evaluated 2",
    "featured 0",
    "answering 1",
    "featured 1",
    "answering 2",
    "answered 2",
  ]);
});

test("the last attempt that ends without a result ends the job", () => {
  for (const [state, by] of [
    ["evaluating", "enclave"],
    ["answering", "creator"],
  ] as const)
    // prettier-ignore
    for (const [event, actor] of [["retry", by], ["expire", "hub"]] as const) // prettier-ignore
      assert.deepEqual(advance({ state, attempts: 3 }, event, actor, 3), { state: "failed", attempts: 3 });
});

test("nothing leaves a final state, and nobody does another's part", () => {
  const legal: string[] = [];
  for (const state of states)
    for (const event of events)
      for (const by of actors) {
        const next = advance({ state, attempts: 1 }, event, by, 3);
        if (next && event !== "cancel" && event !== "overdue") legal.push(`${state} ${event} ${by}`);
        if (next) assert.ok(!finalStates.has(state), `${state} ${event} ${by}`);
        if (event === "cancel") assert.equal(next !== null, by === "user" && !finalStates.has(state));
        if (event === "overdue") assert.equal(next?.state === "failed", by === "hub" && !finalStates.has(state));
      }
  assert.deepEqual(legal, [
    "uploading submit user",
    "queued claim enclave",
    "evaluating done enclave",
    "evaluating retry enclave",
    "evaluating fail enclave",
    "evaluating expire hub",
    "evaluated features user",
    "featured claim creator",
    "answering done creator",
    "answering retry creator",
    "answering fail creator",
    "answering expire hub",
  ]);
});
