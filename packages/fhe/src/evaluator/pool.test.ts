import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { Session } from "../client/session.ts";
import { compile } from "../compile/compile.ts";
import type { Head } from "../layer.ts";
import { exact, shallow } from "../parameters.ts";
import type { EvaluationResult, EvaluationTask } from "./evaluator.ts";
import { createEvaluator } from "./pool.ts";
import { numbers } from "./programs.fixture.ts";

const picture = numbers(16, 5);

/** A product and a square: needs both kinds of keys. */
const head: Head = (() => {
  const input = { channels: 16, height: 1, width: 1 };
  const output = { channels: 8, height: 1, width: 1 };
  return {
    input: "image",
    shape: input,
    normalise: null,
    layers: [
      { kind: "dense", value: "dense", title: "Dense 16->8", input, output, weight: new Float64Array(128).fill(0.5), bias: numbers(8, 6) },
      { kind: "polynomial", value: "square", title: "Square", input: output, output, coefficients: [0, 0, 1] },
    ],
    value: "square",
    output,
  };
})();

/** The difference of neighbours: of two equal ciphertexts nothing is left, which SEAL throws at. */
const difference: Head = (() => {
  const input = { channels: 1, height: 4, width: 4 };
  const output = { channels: 1, height: 4, width: 3 };
  const [weight, bias] = [Float64Array.of(1, -1), new Float64Array(1)];
  const window = { kernel: [1, 2], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], groups: 1 } as const;
  const layer = { kind: "convolution", value: "conv", title: "Conv 1x2 1->1", input, output, weight, bias, ...window } as const;
  return { input: "image", shape: input, normalise: null, layers: [layer], value: "conv", output };
})();

const expected = numbers(8, 6).map((bias) => (picture.reduce((sum, value) => sum + value, 0) * 0.5 + bias) ** 2);

/** A tenant with a session and a task. */
async function tenantOf(
  tenant: string,
  keysId: string,
): Promise<{ task: EvaluationTask; check: (result: EvaluationResult) => void; close: () => void }> {
  const program = compile(head, shallow);
  const session = await Session.create(shallow, program);
  const inputs = program.pack(picture).map((slots) => session.encrypt(slots));
  const task: EvaluationTask = { head, headId: "head", parameters: shallow, tenant, keysId, keys: session.keys(), inputs, budget: 120_000 };
  const at = session.resultsOf(program);
  const check = ({ outputs }: EvaluationResult): void => {
    const slots = outputs.map((output, index) => session.decrypt(output, at[index] ?? { level: 0, scale: 0 }));
    for (const [index, value] of program.unpack(slots).entries())
      assert.ok(Math.abs(value - (expected[index] ?? 0)) < 1e-4, `${index}: ${value}`);
  };
  return { task, check, close: () => session.close() };
}

function code(expectedCode: ErrorCode): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === expectedCode;
}

test("a pool evaluates, keeps tenants apart, survives what breaks a worker, and ends", async (t) => {
  const lines: string[] = [];
  const pool = createEvaluator({ workers: 1, log: (line) => lines.push(line) });
  t.after(() => pool.close());
  // the same name for different keys: what a tenant has loaded must not serve another
  const [one, other] = [await tenantOf("one", "keys"), await tenantOf("other", "keys")];
  one.check(await pool.evaluate(one.task));
  other.check(await pool.evaluate(other.task));
  one.check(await pool.evaluate(one.task));
  // keys that are loaded are not loaded again
  const again = await pool.evaluate({ ...one.task, keys: { relinearisation: null, rotation: null } });
  one.check(again);

  // refused before SEAL: the worker stays
  const changed = { ...one.task, inputs: one.task.inputs.map((input) => input.subarray(1)) };
  await assert.rejects(pool.evaluate(changed), code("CIPHERTEXT_INVALID"));
  await assert.rejects(
    pool.evaluate({ ...one.task, parameters: { ...shallow, primeBits: [49, 49] }, headId: "flat" }),
    code("CUT_UNAVAILABLE"),
  );
  await assert.rejects(pool.evaluate({ ...one.task, parameters: { ...shallow, degree: 2 ** 20 } }), code("REQUEST_INVALID"));
  const strange = { ...head, value: (() => "no plain data") as unknown as string };
  await assert.rejects(pool.evaluate({ ...one.task, head: strange, headId: "strange" }), code("EVALUATION_FAILED"));
  await assert.rejects(pool.evaluate({ ...one.task, budget: 0 }), code("REQUEST_INVALID"));
  assert.equal(lines.length, 0);

  // an exception inside SEAL, while others wait
  const program = compile(difference, shallow);
  const breaking = await Session.create(shallow, program);
  const same = breaking.encrypt(picture);
  const inputs = Array.from({ length: program.inputs }, () => same);
  const broken = pool.evaluate({ ...one.task, head: difference, headId: "difference", tenant: "breaking", keys: breaking.keys(), inputs });
  const waiting = pool.evaluate(other.task);
  await assert.rejects(broken, code("EVALUATION_FAILED"));
  other.check(await waiting);

  // a deadline that has no chance, while others wait
  const late = pool.evaluate({ ...one.task, budget: 1 });
  const next = pool.evaluate(one.task);
  await assert.rejects(late, code("EVALUATION_TIMEOUT"));
  one.check(await next);
  assert.equal(lines.length, 2);

  const pending = pool.evaluate(one.task);
  await Promise.all([assert.rejects(pending, code("EVALUATION_FAILED")), pool.close()]);
  await assert.rejects(pool.evaluate(one.task), code("EVALUATION_FAILED"));
  for (const tenant of [one, other]) tenant.close();
  breaking.close();
});

test("what does not fit into the queue is refused, and nobody before it", async (t) => {
  const pool = createEvaluator({ workers: 1, maximumQueue: 2 });
  t.after(() => pool.close());
  const tenant = await tenantOf("one", "keys");
  const answers = await Promise.allSettled([1, 2, 3, 4, 5].map(() => pool.evaluate(tenant.task)));
  const refused = answers.filter((answer) => answer.status === "rejected");
  assert.ok(refused.length >= 2 && refused.every(({ reason }) => code("OVERLOADED")(reason)));
  for (const answer of answers) if (answer.status === "fulfilled") tenant.check(answer.value);
  tenant.close();
});

test("a calibration measures every operation at every level", async (t) => {
  const pool = createEvaluator({ workers: 1, warm: [shallow] });
  t.after(() => pool.close());
  const real = await pool.calibrate(shallow);
  for (const name of ["encode", "multiplyPlain", "add", "multiply", "relinearise", "rotate", "rescale"] as const) {
    assert.equal(real[name].length, 4, name);
    for (const seconds of real[name].slice(name === "rescale" ? 1 : 0)) assert.ok(seconds > 0 && seconds < 10, `${name} ${seconds}`);
  }
  assert.ok(real.load > 0 && real.loadKey > 0);
  assert.ok((real.rotate[3] ?? 0) > (real.add[3] ?? 0));
  const whole = await pool.calibrate(exact);
  assert.ok(whole.multiplyPlain.every((seconds) => seconds > 0) && whole.rotate.every((seconds) => seconds === 0));
});
