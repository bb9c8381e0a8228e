/**
 * The linear inverter: every pixel as a weighted sum of all features.
 * @module
 */
import { sizeOf } from "@unseen/fhe/layer.ts";
import { matrix } from "../../numeric/matrix.ts";
import { LinearReader, type Components } from "./components.ts";
import { columnMeans, toUnit, type Inverter, type Lesson } from "./inverter.ts";

/** Learns with one strength of the ridge. */
export function ridgeInverter({ head, examples }: Lesson, components: Components, lambda: number): Inverter {
  const mean = columnMeans(examples.pictures, examples.count);
  const size = sizeOf(head.shape);
  const targets = matrix(
    examples.count,
    size,
    Float64Array.from(examples.pictures, (value, at) => value - (mean[at % size] as number)),
  );
  const reader = new LinearReader(components, targets, lambda);
  return {
    name: `ridge regression, strength ${lambda}`,
    invert: (features, count) =>
      Float32Array.from(reader.read(features, count).values, (value, at) => toUnit(value + (mean[at % size] as number))),
  };
}
