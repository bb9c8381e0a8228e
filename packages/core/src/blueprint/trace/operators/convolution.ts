/**
 * Convolutions and pooling: channels carry maps, pixels keep their places.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";
import type { Value } from "../value.ts";

const PIXELS = "looks at neighbouring pixels";

/** Sizes of a sliding window's results, by the rules of ONNX's `auto_pad`, `ceil_mode` and dilation. */
function windowSizes(step: Step, sizes: readonly number[], kernel: readonly number[]): number[] {
  const strides = step.ints("strides") ?? kernel.map(() => 1);
  const dilations = step.ints("dilations") ?? kernel.map(() => 1);
  const pads = step.ints("pads") ?? [...kernel, ...kernel].map(() => 0);
  const automatic = step.text("auto_pad", "NOTSET");
  const up = step.int("ceil_mode", 0) !== 0;
  return sizes.map((size, i) => {
    const stride = strides[i] ?? 1;
    const reach = (dilations[i] ?? 1) * ((kernel[i] as number) - 1) + 1;
    if (automatic.startsWith("SAME")) return Math.ceil(size / stride);
    const padding = automatic === "VALID" ? 0 : (pads[i] ?? 0) + (pads[i + kernel.length] ?? 0);
    const room = size + padding - reach;
    if (room < 0) throw new Opaque("the kernel is larger than the picture");
    let count = (up ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
    // A last window that would begin in the padding is left out.
    if (up && (count - 1) * stride >= size + (pads[i] ?? 0)) count--;
    return count;
  });
}

/** The pixel axes of a result; one by one they stay what they were where the window is a single pixel. */
function pixelAxes(step: Step, axes: readonly Space[], sizes: readonly number[], kernel: readonly number[]): Space[] {
  const single = kernel.every((size) => size === 1) && axes.every((space, i) => space.size === sizes[i]);
  if (single && (step.ints("pads") ?? []).every((amount) => amount === 0)) return [...axes];
  step.freeze(axes, PIXELS);
  return sizes.map((size) => Space.frozen(size, `${step.node.operator}: ${PIXELS}`));
}

/** An offset for every channel is the same at all pixels of all pictures. */
function offsetLaw(step: Step, laws: Laws, output: Value): void {
  const bias = step.optional(2);
  if (!bias) return;
  laws.relate(bias.axis(0), output.axis(1));
  for (const place of output.places) if (place.axis !== 1) laws.restrict(place, "sum");
}

function relatePixels(laws: Laws, output: Value, input: Value): void {
  for (const place of output.places.slice(2)) {
    const from = input.axis(place.axis);
    if (place.space.frozen === null) laws.relate(place, from);
  }
}

/** Channels seen as groups: [group, inside]. */
function groupPlaces(step: Step, name: string, channels: Space, groups: number): [AxisPlace, AxisPlace] {
  const halves = channels.divide(groups);
  if (!halves) throw new Opaque("the groups do not fit the channels");
  return [
    { value: `${step.index}#${name}`, axis: 0, space: halves[0] },
    { value: `${step.index}#${name}`, axis: 1, space: halves[1] },
  ];
}

const convolution: Operator = {
  align(step) {
    const [picture, weight] = [step.input(0), step.input(1)];
    const [batch, channels, ...pixels] = picture.axes;
    const [filters, inside, ...kernel] = weight.axes;
    const groups = step.int("group", 1);
    if (!batch || !channels || !filters || !inside || kernel.length !== pixels.length) throw new Opaque("operands of unlike rank");
    if (inside.size * groups !== channels.size || filters.size % groups !== 0) throw new Opaque("channels that do not match the weight");
    step.freeze(kernel, "places of a kernel");
    if (groups === 1) channels.unify(inside);
    else {
      const [from, to] = [channels.divide(groups), filters.divide(groups)];
      if (from && to) {
        from[0].unify(to[0]);
        if (inside.size > 1) from[1].unify(inside);
      } else step.freeze([channels, filters, inside], "groups that do not fit the channels");
    }
    step.optional(2)?.axes[0]?.unify(filters);
    const shape = kernel.map(({ size }) => size);
    const sizes = windowSizes(
      step,
      pixels.map(({ size }) => size),
      shape,
    );
    step.give(0, [batch, filters, ...pixelAxes(step, pixels, sizes, shape)]);
  },
  law(step, laws) {
    const [picture, weight, output] = [step.input(0), step.input(1), step.output()];
    const groups = step.int("group", 1);
    laws.relate(output.axis(0), picture.axis(0));
    relatePixels(laws, output, picture);
    offsetLaw(step, laws, output);
    if (groups === 1) {
      laws.relate(output.axis(1), weight.axis(0));
      laws.relate(picture.axis(1), weight.axis(1), true);
      laws.confine([picture.axis(1), weight.axis(1)], []);
      return;
    }
    if (picture.axes[1]!.frozen !== null && weight.axes[0]!.frozen !== null) return;
    const [from, to, result] = [
      groupPlaces(step, "from", picture.axes[1]!, groups),
      groupPlaces(step, "to", weight.axes[0]!, groups),
      groupPlaces(step, "result", weight.axes[0]!, groups),
    ];
    laws.relateAll([picture.axis(1)], from);
    laws.relateAll([weight.axis(0)], to);
    laws.relateAll([output.axis(1)], result);
    laws.balance([
      { place: result[0], power: 1 },
      { place: to[0], power: -1 },
      { place: from[0], power: -1 },
    ]);
    laws.relate(result[1], to[1]);
    if (weight.axes[1]!.size > 1) laws.relate(from[1], weight.axis(1), true);
    laws.confine([from[1], weight.axis(1)], [from[0], to[0]]);
  },
};

const transposedConvolution: Operator = {
  align(step) {
    const [picture, weight] = [step.input(0), step.input(1)];
    const [batch, channels, ...pixels] = picture.axes;
    const [inside, filters, ...kernel] = weight.axes;
    const groups = step.int("group", 1);
    if (!batch || !channels || !filters || !inside || kernel.length !== pixels.length) throw new Opaque("operands of unlike rank");
    if (inside.size !== channels.size) throw new Opaque("channels that do not match the weight");
    step.freeze([...kernel, ...pixels], PIXELS);
    channels.unify(inside);
    const result = groups === 1 ? filters : resultOfGroups(channels, filters, groups);
    if (!result) throw new Opaque("groups that do not fit the channels");
    step.optional(2)?.axes[0]?.unify(result);
    const strides = step.ints("strides") ?? kernel.map(() => 1);
    const dilations = step.ints("dilations") ?? kernel.map(() => 1);
    const pads = step.ints("pads") ?? [...kernel, ...kernel].map(() => 0);
    const extra = step.ints("output_padding") ?? kernel.map(() => 0);
    const wanted = step.ints("output_shape");
    const same = step.text("auto_pad", "NOTSET").startsWith("SAME");
    const sizes = pixels.map(({ size }, i) => {
      if (wanted) return wanted.at(i - pixels.length) as number;
      if (same) return size * (strides[i] ?? 1);
      const reach = ((kernel[i] as Space).size - 1) * (dilations[i] ?? 1) + 1;
      return (strides[i] ?? 1) * (size - 1) + (extra[i] ?? 0) + reach - (pads[i] ?? 0) - (pads[i + pixels.length] ?? 0);
    });
    step.give(0, [batch, result, ...sizes.map((size) => Space.frozen(size, `ConvTranspose: ${PIXELS}`))]);
  },
  law(step, laws) {
    const [picture, weight, output] = [step.input(0), step.input(1), step.output()];
    laws.relate(output.axis(0), picture.axis(0));
    offsetLaw(step, laws, output);
    const groups = step.int("group", 1);
    if (groups === 1) {
      laws.relate(output.axis(1), weight.axis(1));
      laws.relate(picture.axis(1), weight.axis(0), true);
      laws.confine([picture.axis(1), weight.axis(0)], []);
      return;
    }
    // The weight has the groups of channels on one axis, the filters of each on the other.
    const [from, stored, result] = [
      groupPlaces(step, "from", picture.axes[1]!, groups),
      groupPlaces(step, "stored", weight.axes[0]!, groups),
      groupPlaces(step, "result", output.axes![1]!, groups),
    ];
    laws.relateAll([picture.axis(1)], from);
    laws.relateAll([weight.axis(0)], stored);
    laws.relateAll([output.axis(1)], result);
    laws.balance([
      { place: result[0], power: 1 },
      { place: stored[0], power: -1 },
      { place: from[0], power: -1 },
    ]);
    laws.relate(from[1], stored[1], true);
    laws.relate(result[1], weight.axis(1));
    laws.confine([from[1], stored[1]], [from[0], stored[0]]);
  },
};

/** The channels that leave grouped filters: groups × filters of one group. */
function resultOfGroups(channels: Space, filters: Space, groups: number): Space | null {
  const halves = channels.divide(groups);
  return halves && Space.product([halves[0], filters]);
}

/** `linear`: averages commute with every map of the channels; otherwise only positive scales and permutations pass. */
const pooling = (linear: boolean): Operator => ({
  align(step) {
    const [batch, channels, ...pixels] = step.input(0).axes;
    const kernel = step.ints("kernel_shape");
    if (!batch || !channels || !kernel || kernel.length !== pixels.length) throw new Opaque("no kernel_shape of the picture's rank");
    if (step.node.outputs.length > 1) throw new Opaque("the places of the maxima are asked for");
    const sizes = windowSizes(
      step,
      pixels.map(({ size }) => size),
      kernel,
    );
    step.give(0, [batch, channels, ...pixelAxes(step, pixels, sizes, kernel)]);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    for (const axis of [0, 1]) laws.relate(output.axis(axis), input.axis(axis));
    relatePixels(laws, output, input);
    if (!linear) for (const value of [output, input]) restrictAll(laws, value, "positive");
  },
});

const globalPooling = (linear: boolean): Operator => ({
  align(step) {
    const [batch, channels, ...pixels] = step.input(0).axes;
    if (!batch || !channels) throw new Opaque("no channels");
    step.give(0, [batch, channels, ...pixels.map(() => Space.leaf(1))]);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    for (const axis of [0, 1]) laws.relate(output.axis(axis), input.axis(axis));
    for (const place of input.places.slice(2)) laws.restrict(place, linear ? "sum" : "pointwise");
    if (!linear) for (const axis of [0, 1]) laws.restrict(input.axis(axis), "positive");
  },
});

/** Axes that change their size hold pixels; all others pass. */
const resize: Operator = {
  align(step) {
    const input = step.input(0);
    const from = (index: number): readonly number[] | undefined => {
      const data = step.inputs[index]?.known?.data;
      return data && data.length > 0 ? [...data] : undefined;
    };
    if (step.ints("axes")) throw new Opaque("names its axes");
    if (step.text("keep_aspect_ratio_policy", "stretch") !== "stretch") throw new Opaque("keeps the ratio of the sides");
    if (step.text("coordinate_transformation_mode") === "tf_crop_and_resize") throw new Opaque("crops");
    const scales = step.node.operator === "Upsample" ? (from(1) ?? floats(step)) : step.opset >= 11 ? from(2) : from(1);
    const sizes = step.opset >= 11 ? from(3) : undefined;
    const shape = sizes ?? (scales && input.shape.map((size, axis) => Math.floor(size * (scales[axis] as number))));
    if (!shape || shape.length !== input.axes.length) throw new Opaque("its sizes depend on the data");
    step.give(
      0,
      input.axes.map((space, axis) => {
        // Near 1, a scale moves coordinates though their number stays.
        if (shape[axis] === space.size && (sizes || scales?.[axis] === 1)) return space;
        step.freeze([space], "changes the picture's size");
        return Space.frozen(shape[axis] as number, `${step.node.operator}: changes the picture's size`);
      }),
    );
  },
  law(step, laws) {
    relateKept(laws, step.output(), step.input(0));
  },
};

/** Axes that were resized are frozen. */
function relateKept(laws: Laws, output: Value, input: Value): void {
  for (const place of output.places) if (place.space.frozen === null) laws.relate(place, input.axis(place.axis));
}

function floats(step: Step): readonly number[] | undefined {
  const attribute = step.node.attributes.get("scales");
  return attribute?.kind === "floats" ? attribute.value : undefined;
}

export const convolutions: Readonly<Record<string, Operator>> = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  MaxPool: pooling(false),
  AveragePool: pooling(true),
  GlobalAveragePool: globalPooling(true),
  GlobalMaxPool: globalPooling(false),
  Resize: resize,
  Upsample: resize,
};
