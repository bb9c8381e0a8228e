import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { Session } from "../client/session.ts";
import type { Program } from "../program.ts";
import { Engine, type EngineTask } from "./engine.ts";
import { mutations } from "./mutate.fixture.ts";
import { emptyHead, keyedProgram, numbers, productProgram, simulate, small, smallExact } from "./programs.fixture.ts";

/** An engine, a session with a valid task, and a check that both still work. */
async function set(program: Program): Promise<{ engine: Engine; task: EngineTask; works: () => Promise<void>; close: () => void }> {
  const session = await Session.create(program.parameters, program);
  const engine = new Engine(() => program);
  const scale = program.parameters.scheme === "bfv" ? 100 : 1;
  const inputs = Array.from({ length: program.inputs }, (_, index) =>
    numbers(program.slots, index).map((value) => (scale === 1 ? value : Math.round(value * scale))),
  );
  const task: EngineTask = {
    head: emptyHead,
    headId: "head",
    parameters: program.parameters,
    tenant: "honest",
    keysId: "honest",
    keys: session.keys(),
    inputs: inputs.map((input) => session.encrypt(input)),
    budget: 60_000,
  };
  const expected = simulate(program, inputs);
  const works = async (): Promise<void> => {
    const { outputs } = await engine.evaluate(task);
    const at = session.resultsOf(program)[0] ?? { level: 0, scale: 0 };
    const found = session.decrypt(outputs[0] ?? new Uint8Array(), at);
    for (const [slot, value] of (expected[0] ?? new Float64Array()).entries())
      assert.ok(Math.abs(value - (found[slot] ?? Number.NaN)) < 1e-2);
  };
  return { engine, task, works, close: () => session.close() };
}

/** What becomes of changed tasks: refused as they must be, or run because the change was allowed; never anything else. */
async function attack(engine: Engine, tasks: Iterable<EngineTask>): Promise<{ refused: number; run: number }> {
  const counts = { refused: 0, run: 0 };
  for (const task of tasks)
    try {
      await engine.evaluate(task);
      counts.run += 1;
    } catch (error) {
      if (!UnseenError.isInstance(error) || error.code !== "CIPHERTEXT_INVALID") throw error;
      counts.refused += 1;
    }
  return counts;
}

for (const program of [productProgram(small), productProgram(smallExact)])
  test(`changed ciphertexts are refused or run, and harm no one: ${program.parameters.scheme}`, async () => {
    const { engine, task, works, close } = await set(program);
    const [first = new Uint8Array(), ...others] = task.inputs;
    const hostile = mutations(first, 220, 1).map((changed) => ({
      ...task,
      tenant: "hostile",
      keysId: "hostile",
      inputs: [changed, ...others],
    }));
    const counts = await attack(engine, hostile);
    assert.ok(counts.refused > 120 && counts.run > 5, `${counts.refused} refused, ${counts.run} run`);
    await works();
    close();
  });

test("changed keys are refused or run, and harm no one", async () => {
  const { engine, task, works, close } = await set(keyedProgram());
  const keys = task.keys ?? { relinearisation: null, rotation: null };
  const [relinearisation, rotation] = [keys.relinearisation ?? new Uint8Array(), keys.rotation ?? new Uint8Array()];
  const changedKeys = [
    ...mutations(relinearisation, 88, 2).map((changed) => ({ relinearisation: changed, rotation })),
    ...mutations(rotation, 88, 3).map((changed) => ({ relinearisation, rotation: changed })),
  ];
  const counts = await attack(
    engine,
    changedKeys.map((changed, index) => ({ ...task, tenant: "hostile", keysId: `hostile ${index}`, keys: changed })),
  );
  assert.ok(counts.refused > 100 && counts.run > 5, `${counts.refused} refused, ${counts.run} run`);
  await works();
  close();
});

test("keys for other steps, of the other kind or none are refused", async () => {
  const program = keyedProgram();
  const { engine, task, works, close } = await set(program);
  const other = await Session.create(small, { rotations: [2], relinearises: true });
  const more = await Session.create(small, { rotations: [1, 2], relinearises: true });
  const { relinearisation = null, rotation = null } = task.keys ?? {};
  const wrong = [
    other.keys(),
    more.keys(),
    { relinearisation: rotation, rotation: relinearisation },
    { relinearisation, rotation: null },
    { relinearisation: null, rotation },
    { relinearisation: null, rotation: null },
  ];
  const counts = await attack(
    engine,
    wrong.map((keys, index) => ({ ...task, keysId: `wrong ${index}`, keys })),
  );
  assert.deepEqual(counts, { refused: wrong.length, run: 0 });
  await works();
  for (const each of [other, more]) each.close();
  close();
});

test("a wrong number of ciphertexts is refused, and one of other parameters", async () => {
  const { engine, task, works, close } = await set(productProgram(small));
  const other = await Session.create(smallExact, { rotations: [], relinearises: false });
  const stranger = other.encrypt(Float64Array.of(1));
  const inputs = [[], [...task.inputs, ...task.inputs], [stranger]];
  assert.deepEqual(
    await attack(
      engine,
      inputs.map((each) => ({ ...task, inputs: each })),
    ),
    { refused: 3, run: 0 },
  );
  await works();
  other.close();
  close();
});
