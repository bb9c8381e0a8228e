import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { Session } from "../client/session.ts";
import type { Constant, Operation, Program } from "../program.ts";
import { defaultLimits, Engine, headKey, type EngineTask } from "./engine.ts";
import {
  emptyHead,
  keyedProgram,
  numbers,
  productProgram,
  realProgram,
  repeated,
  simulate,
  small,
  wholeProgram,
} from "./programs.fixture.ts";

/** Runs a program on encrypted inputs and returns what the client reads. */
async function roundTrip(program: Program, inputs: readonly Float64Array[], engine = new Engine(() => program)): Promise<Float64Array[]> {
  const session = await Session.create(program.parameters, program);
  try {
    const { outputs } = await engine.evaluate({ ...taskOf(program, session, inputs), keysId: randomUUID() });
    const forms = session.resultsOf(program);
    return outputs.map((output, index) => session.decrypt(output, forms[index] ?? { level: 0, scale: 0 }));
  } finally {
    session.close();
  }
}

function taskOf(program: Program, session: Session, inputs: readonly Float64Array[]): Omit<EngineTask, "keysId"> {
  const { parameters } = program;
  return {
    head: emptyHead,
    headId: "head",
    parameters,
    tenant: "tenant",
    keys: session.keys(),
    inputs: inputs.map((input) => session.encrypt(input)),
    budget: 60_000,
  };
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === code;
}

function largestError(found: readonly Float64Array[], expected: readonly Float64Array[]): number {
  assert.equal(found.length, expected.length);
  return Math.max(
    ...expected.map((values, index) =>
      values.reduce((worst, value, slot) => Math.max(worst, Math.abs(value - (found[index]?.[slot] ?? Number.NaN))), 0),
    ),
  );
}

test("a program of real numbers computes on ciphertext what it does on plain ones", async () => {
  const program = realProgram();
  const inputs = [numbers(program.slots, 1), numbers(program.slots, 2)];
  const error = largestError(await roundTrip(program, inputs), simulate(program, inputs));
  assert.ok(error < 2e-6, `error ${error}`);
});

test("a program of whole numbers is exact", async () => {
  const program = wholeProgram();
  const inputs = [numbers(program.slots, 1), numbers(program.slots, 2)].map((values) => values.map((value) => Math.round(value * 255)));
  assert.equal(largestError(await roundTrip(program, inputs), simulate(program, inputs)), 0);
});

test("constants that do not fit into the cache are made anew each time", async () => {
  const program = realProgram();
  const engine = new Engine(() => program, { ...defaultLimits, constantBytes: 300 << 10 });
  const inputs = [numbers(program.slots, 3), numbers(program.slots, 4)];
  for (let run = 0; run < 2; run += 1) assert.ok(largestError(await roundTrip(program, inputs, engine), simulate(program, inputs)) < 2e-6);
});

test("a program that takes more memory than the limits allow is refused", async () => {
  const program = keyedProgram();
  const inputs = [numbers(program.slots, 5)];
  for (const limits of [{ keyBytes: 300 << 10 }, { registerBytes: 300 << 10 }])
    await assert.rejects(
      roundTrip(program, inputs, new Engine(() => program, { ...defaultLimits, ...limits })),
      hasCode("CUT_UNAVAILABLE"),
    );
});

test("loaded keys serve their own program, tenant and name alone", async () => {
  const [keyed, plain] = [keyedProgram(), productProgram(small)];
  const engine = new Engine((head) => (head === emptyHead ? keyed : plain));
  const session = await Session.create(small, keyed);
  const task: EngineTask = { ...taskOf(keyed, session, [numbers(keyed.slots, 6)]), keysId: "keys" };
  await engine.evaluate(task);
  assert.deepEqual(engine.held, { tenant: "tenant", keys: ["keys"], heads: [headKey(task)] });
  await engine.evaluate({ ...task, head: null, keys: null });
  const another = { ...task, head: { ...emptyHead }, headId: "another", keys: null };
  await assert.rejects(engine.evaluate(another), hasCode("CIPHERTEXT_INVALID"));
  await assert.rejects(engine.evaluate({ ...task, keysId: "others", keys: null }), hasCode("CIPHERTEXT_INVALID"));
  await assert.rejects(engine.evaluate({ ...task, tenant: "other", keys: null }), hasCode("CIPHERTEXT_INVALID"));
  assert.deepEqual(engine.held.keys, []);
  session.close();
});

test("weights too small for the scale leave their product out, unless none is left", async () => {
  const tiny = { ...productProgram(small) };
  const one = repeated(0, small, 1);
  const nothing = repeated(1, small, 1e-30);
  const operations = (...constants: Constant[]): Operation[] => [
    { operation: "dot", to: 1, terms: constants.map((constant) => ({ from: 0, constant })) },
    { operation: "rescale", to: 2, from: 1 },
  ];
  const inputs = [numbers(tiny.slots, 7)];
  const found = await roundTrip({ ...tiny, operations: operations(nothing, one) }, inputs);
  assert.ok(largestError(found, inputs) < 1e-2);
  await assert.rejects(roundTrip({ ...tiny, operations: operations(nothing) }, inputs), hasCode("CUT_UNAVAILABLE"));
});
