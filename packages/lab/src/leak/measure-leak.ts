/**
 * How much of a picture can be read from the features of a cut: attackers are trained, and the best of them is reported.
 *
 * The attackers know what a creator knows: the first layers, the obfuscation's knobs, and public pictures of the same kind. The figures
 * are what these attackers reach, so they bound from below what can be read; a better attacker reads more.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { checkObfuscation, type Obfuscation } from "@unseen/fhe/obfuscation.ts";
import { sizeOf, type Head } from "@unseen/fhe/layer.ts";
import { seeded } from "../seed.ts";
import { identify, pictureAttributes, readClasses, scoreAttribute, share, type Recovered } from "./attributes.ts";
import { drawContactSheet } from "./contact-sheet.ts";
import { Components } from "./inverters/components.ts";
import { descentInverter, meanSquare, productsOfDescent } from "./inverters/descent.ts";
import { columnMeans, sliceExamples, type Examples, type Inverter, type Lesson } from "./inverters/inverter.ts";
import { localInverter, type Training } from "./inverters/local.ts";
import { ridgeInverter } from "./inverters/ridge.ts";
import { observe } from "./observe.ts";
import { Patches } from "./patches.ts";
import type { LabelledPictures } from "./pictures.ts";
import { meanScores } from "./scores.ts";

/** How long attackers learn: `quick` takes seconds and reads less, `full` about a minute for small pictures. */
export type Effort = "quick" | "full";

interface Plan {
  /** Pictures to learn from, to choose the best attacker with, and to test it on, at most. */
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  readonly components: number;
  readonly training: Training;
  readonly descent: boolean;
}

const plans: Readonly<Record<Effort, Plan>> = {
  quick: { train: 600, validation: 40, test: 50, components: 96, training: { steps: 250, batch: 96, hidden: [48, 32] }, descent: false },
  full: { train: 2000, validation: 50, test: 100, components: 256, training: { steps: 800, batch: 256, hidden: [128, 64] }, descent: true }, // prettier-ignore
};

const LAMBDAS = [1e-6, 1e-2, 1];
/** Pictures below which nothing is learnt. */
const LEAST_TRAIN = 16;
const LEAST_TEST = 4;
/** Features of all training pictures together (CWE-770); more pictures are left out. */
const MOST_FEATURES = 2 ** 26;
/** Products of numbers that the descent may take, about a minute. */
const MOST_PRODUCTS = 3e10;
/** Numbers that a local network may look at; its linear path takes their cube in products. */
const MOST_INPUTS = 2048;
/** Labels in a report; more are left out. */
const MOST_LABELS = 15;

export interface LeakOptions {
  /** The first layers up to the cut, and the cut's number. */
  readonly head: Head;
  readonly cut: number;
  readonly obfuscation: Obfuscation;
  readonly pictures: LabelledPictures;
  /** What a byte is multiplied with to become the model's input, such as 1 / 255. */
  readonly scale: number;
  readonly seed: number;
  readonly effort?: Effort;
  /** The model's decision from features, where its other layers are at hand. */
  readonly decide?: (features: Float32Array) => Promise<number>;
  /** Told what was done, a line each. */
  readonly log?: (line: string) => void;
}

/** What one attacker reached. */
export interface InverterFigures {
  readonly name: string;
  /** Means over the test pictures. */
  readonly psnr: number;
  readonly ssim: number;
  /** What it was chosen by: over pictures that were neither learnt from nor tested on. */
  readonly validationPsnr: number;
}

/** What is published beside a cut; the fields of a model's manifest, and more. */
export interface LeakReport {
  readonly cut: number;
  readonly obfuscation: Obfuscation;
  readonly data: string;
  readonly trained: number;
  readonly tested: number;
  /** Means over the tested pictures, dB of values 0..1; the baseline is the mean of the training pictures, which needs no features. */
  readonly psnr: number;
  readonly psnrBaseline: number;
  readonly ssim: number;
  readonly ssimBaseline: number;
  /** Shares of the tested pictures, and the share that guessing the commonest value gets. */
  readonly attributes: readonly Recovered[];
  /** Share of the tested pictures whose decision the obfuscation left as it was; null without `decide`. */
  readonly decisionsKept: number | null;
  /** Name of the best attacker, and the figures of all. */
  readonly best: string;
  readonly inverters: readonly InverterFigures[];
  readonly seconds: number;
  /** PNG: pictures above, what was recovered of them below. */
  readonly pictures: Uint8Array;
}

/**
 * Trains attackers and measures what they read. The same options give the same numbers.
 *
 * @throws UnseenError USAGE for too few pictures, pictures of another size or knobs out of range, EVALUATION_FAILED for features that are not finite
 */
export async function measureLeak(options: LeakOptions): Promise<LeakReport> {
  const { head, cut, obfuscation, pictures, scale, seed, effort = "full", decide, log = () => {} } = options;
  const started = performance.now();
  const plan = plans[effort];
  checkObfuscation(obfuscation);
  const { train, validation, test } = divide(options, plan);
  const size = sizeOf(head.shape);

  const lookAt = (bytes: Uint8Array, purpose: string): Examples =>
    observe(head, bytes, scale, obfuscation, seeded(seed, `leak/noise/${purpose}`));
  const seen = lookAt(pictures.train.bytes.subarray(0, (train + validation) * size), "train");
  const lesson: Lesson = { head, examples: sliceExamples(seen, head, 0, train), seed };
  const chosenBy = sliceExamples(seen, head, train, train + validation);
  const tested = lookAt(pictures.test.bytes.subarray(0, test * size), "test");
  log(`${train} pictures to learn from, ${test} to test on`);

  const candidates: Candidate[] = [];
  const tryOut = (inverter: Inverter): void => {
    const drawn = inverter.invert(chosenBy.features, validation);
    const validationPsnr = meanScores(chosenBy.pictures, drawn, head.shape).psnr;
    candidates.push({ inverter, drawn, validationPsnr });
    log(`${inverter.name}: ${validationPsnr.toFixed(1)} dB`);
  };
  const components = new Components(lesson.examples, plan.components);
  for (const lambda of LAMBDAS) tryOut(ridgeInverter(lesson, components, lambda));
  if (new Patches(head).inputs <= MOST_INPUTS) tryOut(localInverter(lesson, bestOf(candidates).inverter, plan.training));
  else log("no local network: too many features lie above a pixel");
  if (plan.descent) {
    if (productsOfDescent(head) * (validation + test) <= MOST_PRODUCTS) {
      const { inverter, drawn } = bestOf(candidates);
      const trust = {
        noise: meanSquare(lesson.examples.features, lesson.examples.clean),
        guess: meanSquare(drawn, chosenBy.pictures),
        scale: scale * 255,
      };
      tryOut(descentInverter(head, inverter, trust));
    } else log("no descent: the layers are too large for it");
  }

  const best = bestOf(candidates);
  const drawn = candidates.map(({ inverter }) => inverter.invert(tested.features, test));
  const guess = drawn[candidates.indexOf(best)] as Float32Array;
  const mean = columnMeans(lesson.examples.pictures, train);
  const baseline = meanScores(tested.pictures, Float32Array.from(tested.pictures, (_, at) => mean[at % size] as number), head.shape); // prettier-ignore
  const figures = drawn.map((each) => meanScores(tested.pictures, each, head.shape));
  return {
    cut,
    obfuscation,
    data: pictures.data,
    trained: train,
    tested: test,
    ...(figures[candidates.indexOf(best)] as { psnr: number; ssim: number }),
    psnrBaseline: baseline.psnr,
    ssimBaseline: baseline.ssim,
    attributes: readAttributes({ options, lesson, components, chosenBy, tested, best: best.drawn, guess }),
    decisionsKept: decide === undefined ? null : await decisionsKept(tested, head, decide),
    best: best.inverter.name,
    inverters: candidates.map(({ inverter, validationPsnr }, index) => ({
      name: inverter.name,
      ...(figures[index] as { psnr: number; ssim: number }),
      validationPsnr,
    })),
    seconds: (performance.now() - started) / 1000,
    pictures: await drawContactSheet(tested.pictures, guess, head.shape),
  };
}

interface Candidate {
  readonly inverter: Inverter;
  /** What it drew of the pictures that it is chosen by. */
  readonly drawn: Float32Array;
  readonly validationPsnr: number;
}

function bestOf(candidates: readonly Candidate[]): Candidate {
  return candidates.reduce((best, each) => (each.validationPsnr > best.validationPsnr ? each : best));
}

/** How many pictures serve for what. */
function divide({ head, pictures }: LeakOptions, plan: Plan): { train: number; validation: number; test: number } {
  const { shape, train, test } = pictures;
  if (sizeOf(shape) !== sizeOf(head.shape))
    throw new UnseenError("USAGE", `expected pictures of ${describe(head.shape)}, got ${describe(shape)}.`, {
      hint: "Read the pictures at the size of the model's input.",
    });
  const usable = Math.min(train.count, plan.train + plan.validation, Math.floor(MOST_FEATURES / sizeOf(head.output)));
  const validation = Math.min(plan.validation, Math.ceil(usable / 8));
  const tested = Math.min(test.count, plan.test);
  if (usable - validation < LEAST_TRAIN || tested < LEAST_TEST)
    throw new UnseenError(
      "USAGE",
      `expected at least ${LEAST_TRAIN} pictures to learn from and ${LEAST_TEST} to test on, got ${usable - validation} and ${tested}.`,
      { hint: "Give more pictures of the kind that the model is made for, or choose a cut with fewer features." },
    );
  return { train: usable - validation, validation, test: tested };
}

function describe({ channels, height, width }: Head["shape"]): string {
  return `(${channels}, ${height}, ${width})`;
}

interface Reading {
  readonly options: LeakOptions;
  readonly lesson: Lesson;
  readonly components: Components;
  readonly chosenBy: Examples;
  readonly tested: Examples;
  /** What the best inverter drew of the pictures that it was chosen by, and of the tested ones. */
  readonly best: Float32Array;
  readonly guess: Float32Array;
}

/** Labels by a classifier; what a picture shows by a classifier or from the drawn one, whichever is better on validation; who it is. */
function readAttributes({ options, lesson, components, chosenBy, tested, best, guess }: Reading): Recovered[] {
  const { head, pictures } = options;
  const { train, test } = pictures;
  const recovered = train.labels.slice(0, MOST_LABELS).flatMap(({ name, values }) => {
    const truth = test.labels.find((labels) => labels.name === name)?.values.subarray(0, tested.count);
    if (truth === undefined) return [];
    const known = values.subarray(0, lesson.examples.count);
    return [scoreAttribute(name, truth, readClasses(components, known, tested.features, tested.count))];
  });
  for (const { name, of } of pictureAttributes(head.shape, lesson.examples.pictures)) {
    const known = of(lesson.examples.pictures);
    const classify = ({ features, count }: Examples): Int32Array => readClasses(components, known, features, count);
    const truth = of(chosenBy.pictures);
    const byClass = share(truth, classify(chosenBy)) > share(truth, of(best));
    recovered.push(scoreAttribute(name, of(tested.pictures), byClass ? classify(tested) : of(guess)));
  }
  const identified = identify(tested.pictures, guess, head.shape);
  recovered.push(scoreAttribute(`which of ${tested.count} pictures`, identified.map((_, index) => index), identified)); // prettier-ignore
  return recovered;
}

async function decisionsKept(
  { features, clean, count }: Examples,
  head: Head,
  decide: NonNullable<LeakOptions["decide"]>,
): Promise<number> {
  const size = sizeOf(head.output);
  let kept = 0;
  for (let at = 0; at < features.length; at += size)
    kept += Number((await decide(features.slice(at, at + size))) === (await decide(clean.slice(at, at + size))));
  return kept / count;
}
