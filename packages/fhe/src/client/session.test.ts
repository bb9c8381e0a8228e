import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { Engine } from "../evaluator/engine.ts";
import { mutations } from "../evaluator/mutate.fixture.ts";
import { emptyHead, numbers, productProgram, small, smallExact } from "../evaluator/programs.fixture.ts";
import { exact, shallow, type Parameters } from "../parameters.ts";
import type { LevelAndScale } from "../seal/forms.ts";
import { Session } from "./session.ts";

const none = { rotations: [], relinearises: false };

function code(expected: ErrorCode): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === expected;
}

/** A result of a session's own program, with the level and scale that it must have. */
async function resultOf(session: Session, parameters: Parameters): Promise<{ result: Uint8Array; at: LevelAndScale }> {
  const program = productProgram(parameters);
  const inputs = [session.encrypt(Float64Array.of(1, 2, 3))];
  const task = { head: emptyHead, headId: "head", parameters, tenant: "one", keysId: "one", keys: session.keys(), inputs, budget: 1 };
  const [result = new Uint8Array()] = (await new Engine(() => program).evaluate(task)).outputs;
  return { result, at: session.resultsOf(program)[0] ?? { level: 0, scale: 0 } };
}

test("two sessions have different keys, and neither reads what the other encrypted", async () => {
  const [one, other] = [await Session.create(small, none), await Session.create(small, none)];
  const { result, at } = await resultOf(one, small);
  assert.ok(Math.abs((one.decrypt(result, at)[1] ?? 0) - 4) < 1e-2);
  assert.ok(Math.abs(other.decrypt(result, at)[1] ?? 0) > 1e3);
  assert.notDeepEqual(one.encrypt(numbers(9, 1)), one.encrypt(numbers(9, 1)));
  for (const session of [one, other]) session.close();
});

for (const parameters of [small, smallExact])
  test(`a result must have the exact form: ${parameters.scheme}`, async () => {
    const session = await Session.create(parameters, none);
    const { result, at } = await resultOf(session, parameters);
    const refuses = (bytes: Uint8Array, place = at): void => assert.throws(() => session.decrypt(bytes, place), code("CIPHERTEXT_INVALID"));
    refuses(session.encrypt(Float64Array.of(1)));
    refuses(result, { ...at, level: 1 - at.level });
    refuses(result, { ...at, scale: at.scale * 2 });
    // a scale in the header that the program does not give
    const scaled = result.slice();
    new DataView(scaled.buffer).setFloat64(SCALE_AT, at.scale * 4, true);
    refuses(scaled);
    const transparent = result.slice();
    transparent.fill(0, HEADER + (result.length - HEADER) / 2);
    refuses(transparent);
    let refused = 0;
    for (const changed of mutations(result, 220, 7))
      try {
        session.decrypt(changed, at);
      } catch (error) {
        assert.ok(code("CIPHERTEXT_INVALID")(error), String(error));
        refused += 1;
      }
    assert.ok(refused > 100, `${refused}`);
    assert.ok(Math.abs((session.decrypt(result, at)[1] ?? 0) - 4) < 1e-2);
    session.close();
  });

test("numbers that cannot be encoded are refused, and a closed session", async () => {
  const [real, whole] = [await Session.create(small, none), await Session.create(smallExact, none)];
  for (const values of [Float64Array.of(Number.NaN), Float64Array.of(Infinity), new Float64Array(2049)])
    assert.throws(() => real.encrypt(values), code("REQUEST_INVALID"));
  for (const values of [Float64Array.of(0.5), Float64Array.of(2 ** 20), new Float64Array(4097)])
    assert.throws(() => whole.encrypt(values), code("REQUEST_INVALID"));
  real.close();
  real.close();
  whole.close();
  assert.throws(() => real.encrypt(Float64Array.of(1)), code("USAGE"));
  assert.throws(() => real.keys(), code("USAGE"));
});

test("parameters of less than 128 bits of security are refused, and ones beyond the limits", async () => {
  const refused: Parameters[] = [
    { ...shallow, primeBits: [60, 60, 60, 60] },
    { ...shallow, degree: 32_768 },
    { ...shallow, degree: 8191 },
    { ...shallow, primeBits: Array.from({ length: 13 }, () => 30) },
    { ...shallow, primeBits: [49, 61, 49] },
    { ...shallow, scaleBits: 60 },
    { ...exact, plainBits: 40 },
  ];
  for (const parameters of refused) await assert.rejects(Session.create(parameters, none), code("REQUEST_INVALID"));
});

/** Bytes before the coefficients, and where the scale is among them. */
const HEADER = 113;
const SCALE_AT = 16 + 32 + 1 + 3 * 8;
