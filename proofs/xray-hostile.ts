/**
 * Ciphertexts and keys that lie, to an evaluator that others use too.
 * @module
 */
import { createHash } from "node:crypto";
import { Session } from "@unseen/fhe/client/session.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import type { EvaluationKeys, EvaluationTask } from "@unseen/fhe/evaluator/evaluator.ts";
import { mutations } from "@unseen/fhe/evaluator/mutate.fixture.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { shallow } from "@unseen/fhe/parameters.ts";
import type { Finding } from "./proof.ts";
import { openXray } from "./xray-subjects.ts";

/** In all; every tenth changes a key instead of a ciphertext. */
const MUTATIONS = 10_000;
/** After so many hostile tasks another user's honest one is run and checked. */
const HONEST_EVERY = 250;

export async function* hostileFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const { heads, pictures } = await openXray(1);
  // The first convolution reads ciphertexts, its square the relinearisation key.
  const head = heads[1]!;
  const program = compile(head, shallow);
  const values = Float64Array.from(pictures[0]!, (byte) => byte / 255);
  const clear = runClear(head, values);
  const ended: string[] = [];
  const evaluator = createEvaluator({ workers: 1, log: (line) => void ended.push(line) });
  const [attacker, honest] = [await Session.create(shallow, program), await Session.create(shallow, program)];
  const taskOf = (tenant: string, keys: EvaluationKeys, inputs: readonly Uint8Array[]): EvaluationTask => ({
    head,
    headId: "hostile",
    parameters: shallow,
    tenant,
    keysId: createHash("sha256")
      .update(keys.relinearisation ?? "")
      .digest("hex"),
    keys,
    inputs,
    budget: 60_000,
  });
  const packed = program.pack(values);
  const [attackerKeys, honestKeys] = [attacker.keys(), honest.keys()];
  const [attackerInputs, honestInputs] = [attacker, honest].map((session) => packed.map((slots) => session.encrypt(slots))) as [
    Uint8Array[],
    Uint8Array[],
  ];
  const forms = honest.resultsOf(program);
  const outcomes = new Map<string, number>();
  let [honestRight, honestRun, crashes] = [0, 0, 0];
  const runHonest = async (): Promise<void> => {
    honestRun += 1;
    const { outputs } = await evaluator.evaluate(taskOf("honest", honestKeys, honestInputs));
    const features = program.unpack(outputs.map((output, index) => honest.decrypt(output, forms[index]!)));
    if (features.every((value, index) => Math.abs(value - clear[index]!) < 1e-3)) honestRight += 1;
  };
  try {
    await runHonest();
    const ciphertexts = mutations(attackerInputs[0]!, MUTATIONS, 1);
    const keys = mutations(attackerKeys.relinearisation!, MUTATIONS / 10, 2);
    for (let index = 0; index < MUTATIONS; index++) {
      const task =
        index % 10 === 9
          ? taskOf("attacker", { ...attackerKeys, relinearisation: keys.next().value as Uint8Array }, attackerInputs)
          : taskOf("attacker", attackerKeys, [ciphertexts.next().value as Uint8Array, ...attackerInputs.slice(1)]);
      const outcome = await evaluator.evaluate(task).then(
        () => "computed",
        (error: unknown) => (UnseenError.isInstance(error) ? error.code : "untyped"),
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (outcome !== "computed" && outcome !== "CIPHERTEXT_INVALID") crashes += 1;
      if (index % HONEST_EVERY === HONEST_EVERY - 1) {
        await runHonest();
        note(`${index + 1} of ${MUTATIONS}`);
      }
    }
  } finally {
    attacker.close();
    honest.close();
    await evaluator.close();
  }
  const figure = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
  yield {
    claim: `${MUTATIONS} mutated ciphertexts and keys: each refused before SEAL, or computed to nonsense for its sender`,
    figure,
    bar: "no other outcome",
    holds: crashes === 0,
  };
  yield { claim: "Workers that ended meanwhile", figure: String(ended.length), bar: "0", holds: ended.length === 0 };
  yield {
    claim: "Honest jobs of another user in between, decrypted and compared",
    figure: `${honestRight} of ${honestRun} right`,
    bar: "all",
    holds: honestRight === honestRun,
  };
}
