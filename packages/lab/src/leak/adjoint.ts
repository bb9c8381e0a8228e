/**
 * The derivative of the first layers, backwards: from what features should become to what pixels should.
 * @module
 */
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { sizeOf, type AveragePool, type Convolution, type Dense, type Head, type Layer } from "@unseen/fhe/layer.ts";

/** Features of a picture, and the way back from there. */
export interface Linearised {
  readonly features: Float64Array;
  /** The transposed Jacobian times a vector: (features) -> (pixels). */
  pullBack(vector: Float64Array): Float64Array;
}

/** Runs a head on a picture (channels, height, width) and keeps what its derivative needs. */
export function linearise(head: Head, picture: Float64Array): Linearised {
  const inputs: Float64Array[] = [];
  let values = runClear({ ...head, layers: [] }, picture);
  for (const layer of head.layers) {
    inputs.push(values);
    values = runClear({ ...head, shape: layer.input, normalise: null, layers: [layer] }, values);
  }
  return {
    features: values,
    pullBack: (vector) => {
      const back = head.layers.reduceRight((slopes, layer, index) => backward(layer, inputs[index] as Float64Array, slopes), vector);
      const plane = head.shape.height * head.shape.width;
      return head.normalise === null ? back : back.map((slope, at) => slope * (head.normalise?.factor[Math.floor(at / plane)] as number));
    },
  };
}

function backward(layer: Layer, input: Float64Array, slopes: Float64Array): Float64Array {
  switch (layer.kind) {
    case "convolution":
      return spread(layer, slopes);
    case "dense":
      return transposedProduct(layer, slopes);
    case "average-pool":
      return share(layer, slopes);
    case "polynomial":
      return slopes.map((slope, at) => {
        const x = input[at] as number;
        return slope * layer.coefficients.reduceRight((sum, coefficient, power) => (power === 0 ? sum : sum * x + power * coefficient), 0);
      });
    case "scale": {
      const plane = layer.input.height * layer.input.width;
      return slopes.map((slope, at) => slope * (layer.factor[Math.floor(at / plane)] as number));
    }
  }
}

function spread({ input, output, weight, kernel, strides, dilations, pads, groups }: Convolution, slopes: Float64Array): Float64Array {
  const [perGroup, outPerGroup] = [input.channels / groups, output.channels / groups];
  const result = new Float64Array(sizeOf(input));
  for (let out = 0, at = 0; out < output.channels; out += 1)
    for (let y = 0; y < output.height; y += 1)
      for (let x = 0; x < output.width; x += 1, at += 1) {
        const slope = slopes[at] as number;
        if (slope === 0) continue;
        for (let channel = 0; channel < perGroup; channel += 1) {
          const plane = (Math.floor(out / outPerGroup) * perGroup + channel) * input.height;
          const filter = (out * perGroup + channel) * kernel[0];
          for (let i = 0; i < kernel[0]; i += 1) {
            const row = y * strides[0] - pads[0] + i * dilations[0];
            if (row < 0 || row >= input.height) continue;
            for (let j = 0; j < kernel[1]; j += 1) {
              const column = x * strides[1] - pads[1] + j * dilations[1];
              if (column < 0 || column >= input.width) continue;
              result[(plane + row) * input.width + column]! += slope * (weight[(filter + i) * kernel[1] + j] as number);
            }
          }
        }
      }
  return result;
}

function transposedProduct({ input, weight }: Dense, slopes: Float64Array): Float64Array {
  const result = new Float64Array(sizeOf(input));
  slopes.forEach((slope, row) => {
    for (let column = 0; column < result.length; column += 1) result[column]! += slope * (weight[row * result.length + column] as number);
  });
  return result;
}

function share({ input, output, kernel, strides, pads, countIncludePad }: AveragePool, slopes: Float64Array): Float64Array {
  const result = new Float64Array(sizeOf(input));
  for (let channel = 0, at = 0; channel < output.channels; channel += 1)
    for (let y = 0; y < output.height; y += 1)
      for (let x = 0; x < output.width; x += 1, at += 1) {
        const [top, left] = [y * strides[0] - pads[0], x * strides[1] - pads[1]];
        const [bottom, right] = [Math.min(input.height, top + kernel[0]), Math.min(input.width, left + kernel[1])];
        const [firstRow, firstColumn] = [Math.max(0, top), Math.max(0, left)];
        const counted = countIncludePad ? kernel[0] * kernel[1] : (bottom - firstRow) * (right - firstColumn);
        for (let row = firstRow; row < bottom; row += 1)
          for (let column = firstColumn; column < right; column += 1)
            result[(channel * input.height + row) * input.width + column]! += (slopes[at] as number) / counted;
      }
  return result;
}
