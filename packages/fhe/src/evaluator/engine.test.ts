import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Session } from "../client/session.ts";
import { deep, exact, shallow } from "../parameters.ts";
import type { Program } from "../program.ts";
import { defaultLimits, Engine, type EngineTask } from "./engine.ts";
import { emptyHead, numbers, realProgram, simulate, wholeProgram } from "./programs.fixture.ts";

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

function largestError(found: readonly Float64Array[], expected: readonly Float64Array[]): number {
  assert.equal(found.length, expected.length);
  return Math.max(...expected.map((values, index) => values.reduce((worst, value, slot) => Math.max(worst, Math.abs(value - (found[index]?.[slot] ?? Number.NaN))), 0)));
}

for (const parameters of [shallow, deep])
  test(`a program of real numbers computes on ciphertext what it does on plain ones, degree ${parameters.degree}`, async () => {
    const program = realProgram(parameters);
    const inputs = [numbers(program.slots, 1), numbers(program.slots, 2)];
    const found = await roundTrip(program, inputs);
    const error = largestError(found, simulate(program, inputs));
    assert.ok(error < 2e-6, `error ${error}`);
  });

for (const parameters of [exact])
  test(`a program of whole numbers is exact, degree ${parameters.degree}`, async () => {
    const program = wholeProgram(parameters);
    const inputs = [numbers(program.slots, 1), numbers(program.slots, 2)].map((values) => values.map((value) => Math.round(value * 255)));
    assert.equal(largestError(await roundTrip(program, inputs), simulate(program, inputs)), 0);
  });

test("constants that do not fit into the cache are made anew each time", async () => {
  const program = realProgram();
  const engine = new Engine(() => program, { ...defaultLimits, constantBytes: 300 << 10 });
  const inputs = [numbers(program.slots, 3), numbers(program.slots, 4)];
  for (let run = 0; run < 2; run += 1) assert.ok(largestError(await roundTrip(program, inputs, engine), simulate(program, inputs)) < 2e-6);
});
