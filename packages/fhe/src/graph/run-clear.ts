/**
 * Runs a head on plain numbers in float64: what the evaluation on ciphertext is measured against.
 * @module
 */
import { sizeOf, type AveragePool, type Convolution, type Dense, type Head, type Layer, type Shape } from "../layer.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/**
 * What a head makes of one picture (channels, height, width): features (channels, height, width).
 *
 * @throws UnseenError `REQUEST_INVALID` for a picture of another size
 */
export function runClear({ shape, normalise, layers }: Head, picture: Float64Array): Float64Array {
  if (picture.length !== sizeOf(shape))
    throw new UnseenError("REQUEST_INVALID", `expected a picture of ${sizeOf(shape)} values, got ${picture.length}.`, {
      hint: `Give one picture as (${shape.channels}, ${shape.height}, ${shape.width}).`,
    });
  const first = normalise ? perChannel(shape, picture, normalise) : picture.slice();
  return layers.reduce<Float64Array>((values, layer) => runLayer(layer, values), first);
}

function runLayer(layer: Layer, values: Float64Array): Float64Array {
  switch (layer.kind) {
    case "convolution":
      return convolve(layer, values);
    case "dense":
      return multiply(layer, values);
    case "average-pool":
      return average(layer, values);
    case "polynomial":
      // Horner's rule.
      return values.map((value) => layer.coefficients.reduceRight((sum, coefficient) => sum * value + coefficient, 0));
    case "scale":
      return perChannel(layer.input, values, layer);
  }
}

function perChannel(
  { height, width }: Shape,
  values: Float64Array,
  { factor, summand }: { readonly factor: Float64Array; readonly summand: Float64Array },
): Float64Array {
  const size = height * width;
  return values.map((value, i) => value * factor[Math.floor(i / size)]! + summand[Math.floor(i / size)]!);
}

function convolve(layer: Convolution, values: Float64Array): Float64Array {
  const { input, output, weight, bias, kernel, strides, dilations, pads, groups } = layer;
  const perGroup = input.channels / groups;
  const [high, wide] = kernel;
  const plane = output.height * output.width;
  const result = new Float64Array(sizeOf(output));
  for (let out = 0; out < output.channels; out++) {
    const into = result.subarray(out * plane, (out + 1) * plane).fill(bias[out]!);
    const group = Math.floor(out / (output.channels / groups));
    for (let channel = 0; channel < perGroup; channel++) {
      const from = (group * perGroup + channel) * input.height * input.width;
      for (let row = 0; row < high; row++) {
        for (let column = 0; column < wide; column++) {
          const factor = weight[((out * perGroup + channel) * high + row) * wide + column]!;
          const [top, left] = [row * dilations[0] - pads[0], column * dilations[1] - pads[1]];
          for (let y = 0; y < output.height; y++) {
            const sourceRow = y * strides[0] + top;
            if (sourceRow < 0 || sourceRow >= input.height) continue;
            for (let x = 0; x < output.width; x++) {
              const sourceColumn = x * strides[1] + left;
              if (sourceColumn < 0 || sourceColumn >= input.width) continue;
              into[y * output.width + x]! += factor * values[from + sourceRow * input.width + sourceColumn]!;
            }
          }
        }
      }
    }
  }
  return result;
}

function multiply({ weight, bias }: Dense, values: Float64Array): Float64Array {
  return bias.map((first, row) => {
    let sum = first;
    for (let column = 0; column < values.length; column++) sum += weight[row * values.length + column]! * values[column]!;
    return sum;
  });
}

function average({ input, output, kernel, strides, pads, countIncludePad }: AveragePool, values: Float64Array): Float64Array {
  const result = new Float64Array(sizeOf(output));
  let at = 0;
  for (let channel = 0; channel < output.channels; channel++) {
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        let sum = 0;
        let inside = 0;
        for (let row = y * strides[0] - pads[0]; row < y * strides[0] - pads[0] + kernel[0]; row++) {
          if (row < 0 || row >= input.height) continue;
          for (let column = x * strides[1] - pads[1]; column < x * strides[1] - pads[1] + kernel[1]; column++) {
            if (column < 0 || column >= input.width) continue;
            sum += values[(channel * input.height + row) * input.width + column]!;
            inside++;
          }
        }
        result[at++] = sum / (countIncludePad ? kernel[0] * kernel[1] : inside);
      }
    }
  }
  return result;
}
