/**
 * The linear inverter: every pixel as a weighted sum of all features, by ridge regression on their principal components.
 * @module
 */
import { sizeOf } from "@unseen/fhe/layer.ts";
import { matrix } from "../../numeric/matrix.ts";
import { multiply } from "../../numeric/multiply.ts";
import { Components, ridgeOnScores } from "./components.ts";
import { meanOf, type Inverter, type Lesson } from "./inverter.ts";

/** Learns from the examples with one strength of the ridge. */
export function ridgeInverters({ head, examples: { count, features, pictures } }: Lesson, lambdas: readonly number[]): Inverter[] {
  const components = new Components(features, count);
  const mean = meanOf(pictures, count);
  const scores = components.scores(features, count);
  const size = sizeOf(head.shape);
  const targets = matrix(count, size, Float64Array.from(pictures, (value, at) => value - (mean[at % size] as number)));
  return lambdas.map((lambda) => {
    const map = ridgeOnScores(scores, targets, lambda);
    return {
      name: `ridge regression, lambda ${lambda}`,
      invert: (observed, observedCount) =>
        Float32Array.from(multiply(components.scores(observed, observedCount), map).values, (value, at) =>
          Math.max(0, Math.min(1, value + (mean[at % size] as number))),
        ),
    };
  });
}
