/**
 * What a defence costs and what it stops, at each value of its dial: the curve of recovery against fidelity.
 * @module
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import type { ModelKey, Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Attack } from "../attack.ts";
import type { DefencePoint } from "../lab-report.ts";
import type { AttackResult } from "../result.ts";
import { runAttack } from "../run-attack.ts";
import { seeded, seededSecret } from "../seed.ts";
import type { Subject } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import type { Weights } from "../weights/weights.ts";
import { openChangeable } from "./checkpoint-copy.ts";
import type { Defence, Defended } from "./defence.ts";
import { FidelityMeter } from "./fidelity.ts";
import { informedAttack } from "./informed.ts";

/** Keys unless another number is asked for: single keys carry several points of luck. */
const KEYS = 5;
const BUDGET_SECONDS = 120;

export interface DefenceOptions {
  /** Directory of the plain model. */
  readonly base: string;
  readonly defence: Defence;
  /** Values of the dial instead of the defence's own. */
  readonly dials?: readonly number[] | undefined;
  readonly attacks: readonly Attack[];
  readonly strength: Strength;
  /** Default 5. */
  readonly keys?: number | undefined;
  readonly seed: number;
  /** Seconds for one attack under one key; default 120. */
  readonly budgetSeconds?: number | undefined;
  /** What is said, and what the attacker knows of it. `heldOut` is also what fidelity is measured on. */
  readonly subject: Pick<Subject, "texts" | "special" | "spelling" | "knownText">;
  /** Positions on which fidelity is measured; default 256. */
  readonly positions?: number | undefined;
  /** Where copies are made and removed again; default: the system's folder for such things. */
  readonly temporary?: string | undefined;
  /** Called with a share 0..1 of the whole. */
  readonly onProgress?: ((done: number) => void) | undefined;
  /** Each attack at each dial value, whole; its control, which no dial value changes, is run at the first alone. */
  readonly onResult?: ((dial: number, result: AttackResult) => void) | undefined;
  /** Each dial value as it is done. */
  readonly onPoint?: ((point: DefencePoint) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One point for each dial value. Every key has its own noise, of which a dial value changes the size alone; attacks see the defended
 * model and the clean base, fidelity is that under the first key. Copies are removed afterwards, also where it fails.
 *
 * @throws UnseenError `USAGE` for a model that is no plain decoder in a directory, or too large; `FAMILY_*`, `CHECKPOINT_*`, `DISK_FULL`;
 *   the signal's reason
 */
export async function measureDefence(options: DefenceOptions): Promise<DefencePoint[]> {
  const { defence, seed, strength, dials = defence.dials, keys = KEYS, subject, signal, onProgress } = options;
  if (keys < 1)
    throw new UnseenError("USAGE", `a defence is measured under at least one key, got ${keys}.`, { hint: "Five are the default." });
  const model = await openChangeable(options.base);
  const { vocabulary } = decoderOf(model.config).architecture;
  const directory = await mkdtemp(join(options.temporary ?? tmpdir(), "unseen-defence-"));
  try {
    const secrets = Array.from({ length: keys }, (_, index): ModelKey => ({ secret: seededSecret(seed, `key ${index}`), strength }));
    const measurement: Measurement = {
      options,
      model,
      subject: { ...subject, vocabulary, base: await openWeights(model.path, vocabulary) },
      keys: secrets,
      exact: exactModels(directory, model, vocabulary, secrets, signal),
      meter: once(() => FidelityMeter.of(model, subject.texts.heldOut, options.positions, signal)),
    };
    const points: DefencePoint[] = [];
    for (const [at, dial] of dials.entries()) {
      const place = join(directory, `dial-${at}`);
      const point = await measurePoint(measurement, dial, place, at === 0, (done) => onProgress?.((at + done) / dials.length));
      points.push(point);
      options.onPoint?.(point);
      await rm(place, { recursive: true, force: true });
      onProgress?.((at + 1) / dials.length);
    }
    return points;
  } catch (error) {
    throw explainSystemError(error, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What all dial values share. */
interface Measurement {
  readonly options: DefenceOptions;
  readonly model: Model;
  readonly subject: Subject;
  readonly keys: readonly ModelKey[];
  readonly exact: (key: number) => Promise<Weights>;
  readonly meter: () => Promise<FidelityMeter>;
}

/** Half of the time is for making the models, half for attacking them, as far as progress goes. */
const MAKING = 0.5;

async function measurePoint(
  measurement: Measurement,
  dial: number,
  place: string,
  controlled: boolean,
  progress: (done: number) => void,
): Promise<DefencePoint> {
  const { options, model, subject, keys, exact, meter } = measurement;
  const { defence, attacks, seed, signal, budgetSeconds = BUDGET_SECONDS } = options;
  const made: Defended[] = [];
  for (const [index, key] of keys.entries()) {
    signal?.throwIfAborted();
    const directory = join(place, String(index));
    await mkdir(directory, { recursive: true });
    const random = (purpose: string): RandomStream => seeded(seed, `${defence.name}/${index}/${purpose}`);
    made.push(await defence.apply({ model, subject, dial, key, seed: seed + index, directory, exact: () => exact(index), random, signal }));
    progress((MAKING * (index + 1)) / keys.length);
  }
  const { changed, cost, informed, trial } = made[0] as Defended;
  const fidelity = changed === null ? null : await (await meter()).measure(await openModel(changed), signal);
  const recovery: Record<string, DefencePoint["recovery"][string]> = {};
  const cutShort: string[] = [];
  const all = [...attacks, ...(informed?.(attacks) ?? [])];
  for (const [number, attack] of all.entries()) {
    const result = await runAttack(
      controlled && trial.owner.exact ? attack : informedAttack(attack, {}),
      made.map((defended) => defended.trial),
      {
        seed,
        budget: budgetSeconds * 1000,
        signal,
        onProgress: (done) => progress(MAKING + ((1 - MAKING) * (number + done)) / all.length),
      },
    );
    options.onResult?.(dial, result);
    if (result.notRun !== null) continue;
    // An attack that reads texts alone recovers no id.
    const found = { vocabularyTop1: result.vocabularyTop1 ?? 0, textTokens: result.textTokens };
    // Nothing found in too little time is no figure: it would look like a defence that holds.
    if (!result.complete && found.vocabularyTop1 === 0 && !found.textTokens) cutShort.push(attack.name);
    else recovery[attack.name] = found;
  }
  return { defence: defence.name, x: dial, fidelity, recovery, ...(cutShort.length > 0 ? { cutShort } : {}), keys: keys.length, cost };
}

/** The exact encryption under each key, made when it is first asked for; in float32, so that it is exact. */
function exactModels(
  directory: string,
  model: Model,
  vocabulary: number,
  keys: readonly ModelKey[],
  signal: AbortSignal | undefined,
): (key: number) => Promise<Weights> {
  const made = keys.map((key, index) =>
    once(async () => {
      const output = join(directory, `exact-${index}`);
      await encryptModel({ source: model.path, output, key, precision: "f32", signal });
      return openWeights(output, vocabulary);
    }),
  );
  return (key) => (made[key] as () => Promise<Weights>)();
}

/** Makes something when it is first asked for, and keeps it. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => (made ??= make());
}
