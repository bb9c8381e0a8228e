/**
 * Real ciphertext at every cut: decisions, errors, and whole numbers that are exactly those of the integer model.
 * @module
 */
import { largest } from "@unseen/client/encoders/scores.ts";
import { createHash } from "node:crypto";
import { Session } from "@unseen/fhe/client/session.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import type { Convolution, Head } from "@unseen/fhe/layer.ts";
import { defaultObfuscation, obfuscate, restore } from "@unseen/fhe/obfuscation.ts";
import type { Parameters } from "@unseen/fhe/parameters.ts";
import type { IntegerForm } from "@unseen/fhe/program.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import { secureUniform } from "@unseen/hub/user/secure-uniform.ts";
import { openTails, runWholeModel } from "./xray-runtime.ts";
import type { Finding } from "./proof.ts";
import { openMnist, openXray, type Subject } from "./xray-subjects.ts";

const PICTURES = 100;

/** Every legal cut under every scheme, of the X-ray network and of the MNIST network where it is here. */
export async function* exactFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  yield* subjectFindings(await openXray(PICTURES), note);
  const mnist = await openMnist(PICTURES);
  if (mnist) yield* subjectFindings(mnist, note);
  else yield { claim: "The MNIST network", figure: "its file and pictures are not here", bar: "-", holds: null };
}

async function* subjectFindings(subject: Subject, note: (line: string) => void): AsyncGenerator<Finding> {
  const plain = await runWholeModel(
    subject.path,
    subject.pictures.map((picture) => valuesOf(picture).map((value) => value * subject.scale)),
  );
  const tails = await openTails(subject.model, subject.heads.length);
  const plan = planCuts({ heads: [...subject.heads], end: "" });
  try {
    for (const { cut, parameters, refused, layers } of plan.cuts) {
      if (refused !== null) continue;
      note(`${subject.name} cut ${cut} ${parameters.scheme}: ${layers.join(", ")}`);
      yield* cutFindings(subject, cut, parameters, plain, (features) => tails.run(cut, features));
    }
  } finally {
    tails.close();
  }
}

async function* cutFindings(
  { name, heads, pictures, source }: Subject,
  cut: number,
  parameters: Parameters,
  plain: readonly number[][],
  tail: (features: Float32Array) => Promise<number[]>,
): AsyncGenerator<Finding> {
  const head = heads[cut - 1]!;
  const program = compile(head, parameters);
  const evaluator = createEvaluator({ workers: 1 });
  const session = await Session.create(parameters, program);
  const keys = session.keys();
  const keysId = createHash("sha256")
    .update(keys.rotation ?? "")
    .update(keys.relinearisation ?? "")
    .digest("hex");
  const forms = session.resultsOf(program);
  let [same, sameObfuscated, maxError, largestFeature, exactIntegers] = [0, 0, 0, 0, 0];
  const seconds: number[] = [];
  try {
    for (const [index, picture] of pictures.entries()) {
      const values = valuesOf(picture);
      const inputs = program.pack(values).map((slots) => session.encrypt(slots));
      const started = performance.now();
      const { outputs } = await evaluator.evaluate({
        head,
        headId: `cut-${cut}`,
        parameters,
        tenant: "proof",
        keysId,
        keys,
        inputs,
        budget: 60_000,
      });
      seconds.push((performance.now() - started) / 1000);
      const slots = outputs.map((output, at) => session.decrypt(output, forms[at]!));
      const features = program.unpack(slots);
      const clear = runClear(head, values);
      maxError = features.reduce((most, value, at) => Math.max(most, Math.abs(value - clear[at]!)), maxError);
      largestFeature = clear.reduce((most, value) => Math.max(most, Math.abs(value)), largestFeature);
      if (program.integers) exactIntegers += equalsIntegerModel(head, program.integers, picture, features) ? 1 : 0;
      const decision = largest(plain[index]!);
      if (largest(await tail(Float32Array.from(features))) === decision) same += 1;
      const sent = restore(obfuscate(features, head.output, defaultObfuscation, secureUniform()));
      if (largest(await tail(sent)) === decision) sameObfuscated += 1;
    }
  } finally {
    session.close();
    await evaluator.close();
  }
  const title = `${name} cut ${cut}, ${parameters.scheme.toUpperCase()} N=${parameters.degree}`;
  const median = seconds.toSorted((left, right) => left - right)[Math.floor(seconds.length / 2)]!;
  yield {
    claim: `${title}: same decision as the plain model on ${pictures.length} ${source}, on ciphertext`,
    figure: `${same} of ${pictures.length}; ${median.toFixed(2)} s a picture (median)`,
    bar: "100 %",
    holds: same === pictures.length,
  };
  yield {
    claim: `${title}: and after the default obfuscation, whose noise is drawn anew each time`,
    figure: `${sameObfuscated} of ${pictures.length}`,
    bar: "at least 99 %",
    holds: sameObfuscated >= 0.99 * pictures.length,
  };
  yield {
    claim: `${title}: largest error of a feature against float64`,
    figure: `${maxError.toExponential(1)}, largest feature ${largestFeature.toFixed(1)}`,
    bar: "below 1e-3 of the largest",
    holds: maxError < 1e-3 * largestFeature,
  };
  if (program.integers) {
    yield {
      claim: `${title}: features bit by bit those of the integer model, computed with BigInt`,
      figure: `${exactIntegers} of ${pictures.length} pictures`,
      bar: "100 %",
      holds: exactIntegers === pictures.length,
    };
  }
}

/** Compares with the definition of a convolution, in BigInt, from the whole-number weights alone. */
function equalsIntegerModel(head: Head, { weight, bias, outputSteps }: IntegerForm, picture: Uint8Array, features: Float64Array): boolean {
  const layer = head.layers[0] as Convolution;
  const { input, output, kernel, strides, pads, dilations } = layer;
  for (let channel = 0; channel < output.channels; channel++) {
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        let sum = BigInt(bias[channel]!);
        for (let from = 0; from < input.channels; from++) {
          for (let row = 0; row < kernel[0]; row++) {
            for (let column = 0; column < kernel[1]; column++) {
              const [top, left] = [y * strides[0] + row * dilations[0] - pads[0], x * strides[1] + column * dilations[1] - pads[1]];
              if (top < 0 || left < 0 || top >= input.height || left >= input.width) continue;
              const factor = weight[((channel * input.channels + from) * kernel[0] + row) * kernel[1] + column]!;
              sum += BigInt(factor) * BigInt(picture[(from * input.height + top) * input.width + left]!);
            }
          }
        }
        const got = features[(channel * output.height + y) * output.width + x]! / outputSteps[channel]!;
        if (BigInt(Math.round(got)) !== sum || Math.abs(got - Math.round(got)) > 1e-6) return false;
      }
    }
  }
  return true;
}

function valuesOf(picture: Uint8Array): Float64Array {
  return Float64Array.from(picture, (byte) => byte / 255);
}
