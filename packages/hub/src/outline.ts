/**
 * Layers without their weights. A user packs pictures and unpacks features by them, and never holds the creator's weights as a file
 * (someone who may decrypt features can still learn the first layers from chosen pictures: they are a function of the picture).
 * @module
 */
import { sizeOf, type Head, type Layer, type Shape } from "@unseen/fhe/layer.ts";
import type { Outline, PublishedCut } from "./protocol.ts";

type Triple = [number, number, number];

const triple = ({ channels, height, width }: Shape): Triple => [channels, height, width];
const shape = ([channels, height, width]: readonly [number, number, number]): Shape => ({ channels, height, width });

/** What a manifest says of a head's layers. */
export function outlineOf(head: Head): Outline {
  return head.layers.map((layer) => {
    const step = { value: layer.value, title: layer.title, input: triple(layer.input), output: triple(layer.output) };
    switch (layer.kind) {
      case "convolution": {
        const { kind, kernel, strides, dilations, pads, groups } = layer;
        return { kind, ...step, kernel: [...kernel], strides: [...strides], dilations: [...dilations], pads: [...pads], groups };
      }
      case "average-pool": {
        const { kind, kernel, strides, pads, countIncludePad } = layer;
        return { kind, ...step, kernel: [...kernel], strides: [...strides], pads: [...pads], countIncludePad };
      }
      case "polynomial":
        return { kind: layer.kind, ...step, coefficients: [...layer.coefficients] };
      case "dense":
      case "scale":
        return { kind: layer.kind, ...step };
    }
  });
}

/** A head of the published form with every weight 1: it packs and unpacks as the creator's own does. */
export function headOfOutline(cut: PublishedCut, picture: Triple): Head {
  return {
    input: "picture",
    shape: shape(picture),
    normalise: cut.normalise && { factor: Float64Array.from(cut.normalise.factor), summand: Float64Array.from(cut.normalise.summand) },
    layers: cut.outline.map(expand),
    value: cut.value,
    output: shape(cut.features),
  };
}

function expand(layer: Outline[number]): Layer {
  const input = shape(layer.input);
  const output = shape(layer.output);
  const { value, title } = layer;
  const ones = (count: number): Float64Array => new Float64Array(count).fill(1);
  switch (layer.kind) {
    case "convolution": {
      const weight = ones((output.channels * input.channels * layer.kernel[0] * layer.kernel[1]) / layer.groups);
      return { ...layer, value, title, input, output, weight, bias: ones(output.channels) };
    }
    case "dense":
      return { ...layer, input, output, weight: ones(sizeOf(output) * sizeOf(input)), bias: ones(sizeOf(output)) };
    case "scale":
      return { ...layer, input, output, factor: ones(output.channels), summand: ones(output.channels) };
    case "average-pool":
    case "polynomial":
      return { ...layer, input, output };
  }
}
