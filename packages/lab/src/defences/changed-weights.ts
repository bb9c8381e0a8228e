/**
 * Defences that change the plain weights before they are encrypted: the attacker compares the result with the unchanged public model.
 * @module
 */
import { join } from "node:path";
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { makeTrial } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import { tensorsOf, writeCheckpoint, type CopiedTensor } from "./checkpoint-copy.ts";
import type { Defence, Defended, Setting } from "./defence.ts";

/** A matrix that is changed. */
export interface MatrixChange {
  /** As the file calls it: distinguishes the random numbers of one matrix from those of others. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** Which part it has: the word table, the head, or any other. Tied weights have both parts, and then it is "embedding". */
  readonly part: "embedding" | "head" | "inner";
}

/** A defence of this kind: its name and so on, and what it does to one matrix. */
export interface WeightDefence extends Omit<Defence, "apply"> {
  /** Whether the word table and the head are changed differently, so that tied ones have to be stored apart. */
  readonly unties: boolean;
  /** Whether a matrix is changed at all. */
  changes(matrix: MatrixChange): boolean;
  /** Changes `values`, `(rows, columns)`, in place; the dial is above 0. */
  change(values: Float64Array, matrix: MatrixChange, dial: number, random: RandomStream): void;
}

/** Makes the defence. It throws `USAGE` for a dial value that is negative or no number. */
export function changingWeights(defence: WeightDefence): Defence {
  const { name, title, dial, dials, source } = defence;
  return { name, title, dial, dials, source, apply: (setting) => applyChange(defence, setting) };
}

async function applyChange(defence: WeightDefence, setting: Setting): Promise<Defended> {
  const { model, subject, dial, key, seed, directory, signal } = setting;
  if (!(dial >= 0 && Number.isFinite(dial)))
    throw new UnseenError("USAGE", `the dial of ${defence.name} must be a number from 0 on, got ${dial}.`, {
      hint: `It is the ${defence.dial}.`,
    });
  const [changed, output] = [join(directory, "changed"), join(directory, "encrypted")];
  const untie = defence.unties && decoderOf(model.config).architecture.tied;
  const tensors = partsOf(model, untie).map(({ tensor, matrix }): CopiedTensor => {
    if (matrix === null || dial === 0 || !defence.changes(matrix)) return tensor;
    return {
      ...tensor,
      change(values) {
        signal?.throwIfAborted();
        defence.change(values, matrix, dial, setting.random(matrix.name));
        return values;
      },
    };
  });
  await writeCheckpoint(changed, model, tensors, untie ? { tie_word_embeddings: false } : {});
  const { vocabulary } = await encryptModel({ source: changed, output, key, signal });
  const keyed = {
    permutation: vocabularyPermutation(key.secret, vocabulary ?? subject.vocabulary),
    encrypted: await openWeights(output, subject.vocabulary),
    exact: await setting.exact(),
  };
  return { trial: makeTrial(subject, keyed, seed), changed, cost: 1 };
}

interface Part {
  readonly tensor: CopiedTensor;
  /** null for what is no matrix. */
  readonly matrix: MatrixChange | null;
}

/** Every tensor, with what is to be known of those that are matrices; untied, a tied word table comes twice. */
function partsOf(model: Model, untie: boolean): Part[] {
  const { tensors: table, embedding, head } = decoderOf(model.config);
  return tensorsOf(model).flatMap((tensor): Part[] => {
    const { name, role, shape } = tensor;
    const [rows, columns] = shape;
    if (!Object.hasOwn(table, role) || rows === undefined || columns === undefined) return [{ tensor, matrix: null }];
    if (role !== embedding) return [{ tensor, matrix: { name, rows, columns, part: role === head ? "head" : "inner" } }];
    const own: Part = { tensor, matrix: { name, rows, columns, part: "embedding" } };
    const twin: Part = { tensor: { ...tensor, name: head, role: head }, matrix: { name: head, rows, columns, part: "head" } };
    return untie ? [own, twin] : [own];
  });
}
