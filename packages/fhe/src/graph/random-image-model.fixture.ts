/**
 * For tests: draws image models from operators that ciphertext can do, with branches that make cuts illegal, and an end that it cannot.
 * @module
 */
import { elements, GraphBuilder, type Dice, type Drawn } from "@unseen/core/blueprint/trace/graph-builder.fixture.ts";

/** A model, and where it must not be cut. */
export interface DrawnModel {
  readonly builder: GraphBuilder;
  /** Names of values inside a branch. */
  readonly inside: ReadonlySet<string>;
  /** At least so many layers can be cut off. */
  readonly layers: number;
}

/** A random model of one picture; the batch is open or 1. */
export function drawImageModel(dice: Dice): DrawnModel {
  return new Drawing(dice).model();
}

class Drawing {
  readonly #dice: Dice;
  readonly #builder: GraphBuilder;
  readonly #inside = new Set<string>();
  #layers = 0;
  /** Degree of the polynomial since the last product, so that numbers stay small. */
  #degree = 1;
  #value: Drawn;

  constructor(dice: Dice) {
    this.#dice = dice;
    this.#builder = new GraphBuilder(dice);
    const [channels, height, width] = [dice.between(1, 3), dice.between(5, 9), dice.between(5, 9)];
    this.#value = this.#builder.input("picture", [dice.chance(0.5) ? "batch" : 1, channels, height, width]);
  }

  model(): DrawnModel {
    const dice = this.#dice;
    const builder = this.#builder;
    if (dice.chance(0.4)) this.#affine();
    // A value from early on that the end needs again: no cut behind it.
    let early: Drawn | null = null;
    let before = 0;
    for (let i = dice.between(1, 5); i > 0; i--) {
      this.#step();
      if (early === null && dice.chance(0.1)) [early, before] = [this.#value, this.#layers];
    }
    const last = builder.node("Relu", [this.#value], this.#value.shape);
    const end = builder.node("Add", [last, builder.scalar(0.5)], last.shape);
    if (early) builder.output(builder.node("Neg", [early], early.shape));
    builder.output(end);
    // Whoever asks for the picture's size needs the picture, and no cut is before it.
    const layers = builder.operators().has("Shape") ? 0 : early ? before : this.#layers;
    return { builder, inside: this.#inside, layers };
  }

  #step(): void {
    const dice = this.#dice;
    const flat = this.#value.shape.length === 2;
    if (dice.chance(0.25)) this.#nothing();
    if (flat) this.#dense();
    else if (dice.chance(0.65)) this.#convolve();
    else if (dice.chance(0.5)) this.#pool();
    else {
      this.#flatten();
      this.#dense();
    }
    while (dice.chance(0.4)) this.#affine();
    if (dice.chance(0.6)) this.#polynomial();
    if (dice.chance(0.3)) this.#affine();
  }

  /** Weights that sum over `fan` numbers, stored as they are or made by a node. */
  #weight(shape: readonly number[], fan: number): Drawn {
    const dice = this.#dice;
    const builder = this.#builder;
    const deviation = 1 / Math.sqrt(fan);
    switch (dice.below(6)) {
      case 0: {
        const order = shape.map((_, axis) => shape.length - 1 - axis);
        return builder.transpose(builder.gaussian(shape.toReversed(), deviation), order);
      }
      case 1:
        return builder.reshape(builder.gaussian([elements(shape)], deviation), shape);
      case 2:
        return builder.node("Mul", [builder.gaussian(shape, deviation), builder.scalar(0.75)], shape);
      default:
        return builder.gaussian(shape, deviation);
    }
  }

  /** A product: the value before it may be one of its own layers. */
  #product(value: Drawn): void {
    this.#value = value;
    this.#layers++;
    this.#degree = 1;
  }

  #convolve(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const [batch, channels, height, width] = this.#value.shape as [string, number, number, number];
    const sizes = [height, width];
    const groups = dice.chance(0.2) ? channels : 1;
    const out = groups * dice.between(1, 4);
    const kernel = sizes.map((size) => dice.between(1, Math.min(size, 3)));
    const strides = kernel.map(() => dice.between(1, 2));
    const mode = dice.pick(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]);
    const same = mode.startsWith("SAME");
    // ONNX Runtime does not take SAME with dilations.
    const dilations = kernel.map((size, axis) => (!same && dice.chance(0.2) && 2 * size - 1 <= sizes[axis]! ? 2 : 1));
    const reach = kernel.map((size, axis) => (size - 1) * dilations[axis]! + 1);
    const pads = mode === "NOTSET" ? Array.from({ length: 4 }, () => dice.below(3)) : [0, 0, 0, 0];
    const counts = sizes.map((size, axis) =>
      same ? Math.ceil(size / strides[axis]!) : Math.floor((size + pads[axis]! + pads[axis + 2]! - reach[axis]!) / strides[axis]!) + 1,
    );
    const weight = this.#weight([out, channels / groups, ...kernel], (channels / groups) * kernel[0]! * kernel[1]!);
    const bias = dice.chance(0.5) ? builder.gaussian([out], 0.3) : null;
    const attributes = {
      ...(dice.chance(0.5) ? { kernel_shape: kernel } : {}),
      strides,
      ...(dilations.join() === "1,1" ? {} : { dilations }),
      ...(mode === "NOTSET" ? { pads } : { auto_pad: mode }),
      ...(groups > 1 ? { group: groups } : {}),
    };
    this.#product(builder.node("Conv", [this.#value, weight, bias], [batch, out, ...counts], attributes));
  }

  #pool(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const [batch, channels, height, width] = this.#value.shape as [string, number, number, number];
    if (dice.chance(0.3)) return this.#poolAll();
    const kernel = [height, width].map((size) => dice.between(1, Math.min(size, 3)));
    const strides = kernel.map(() => dice.between(1, 2));
    // ONNX Runtime does not take SAME where pixels lie between the windows.
    const apart = strides.some((stride, axis) => stride > kernel[axis]!);
    const mode = apart ? "NOTSET" : dice.pick(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER"]);
    const pads = [...kernel, ...kernel].map((size) => dice.below(size));
    const counts = [height, width].map((size, axis) =>
      mode === "NOTSET"
        ? Math.floor((size + pads[axis]! + pads[axis + 2]! - kernel[axis]!) / strides[axis]! + 1)
        : Math.ceil(size / strides[axis]!),
    );
    const attributes = {
      kernel_shape: kernel,
      strides,
      ...(mode === "NOTSET" ? { pads } : { auto_pad: mode }),
      count_include_pad: dice.below(2),
    };
    this.#product(builder.node("AveragePool", [this.#value], [batch, channels, ...counts], attributes));
  }

  #poolAll(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const [batch, channels] = this.#value.shape as [string, number];
    const [whole, flat] = [
      [batch, channels, 1, 1],
      [batch, channels],
    ] as const;
    if (dice.chance(0.5)) {
      this.#product(builder.node("GlobalAveragePool", [this.#value], whole));
      if (dice.chance(0.5)) this.#value = builder.squeeze(this.#value, [2, 3]);
      return;
    }
    const keeps = dice.chance(0.5);
    const axes = dice.pick([
      [2, 3],
      [-1, -2],
    ]);
    const [inputs, attributes] = builder.opset < 18 ? [[], { axes }] : [[builder.ints(axes)], {}];
    this.#product(builder.node("ReduceMean", [this.#value, ...inputs], keeps ? whole : flat, { ...attributes, keepdims: Number(keeps) }));
  }

  #flatten(): void {
    const builder = this.#builder;
    const [batch, ...sizes] = this.#value.shape as [string | number, ...number[]];
    const shape = [batch, elements(sizes)];
    this.#value = this.#dice.chance(0.5) ? builder.node("Flatten", [this.#value], shape, { axis: 1 }) : builder.reshape(this.#value, shape);
  }

  #dense(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const [batch, columns] = this.#value.shape as [string, number];
    const rows = dice.between(2, 8);
    if (dice.chance(0.5))
      return this.#product(builder.node("MatMul", [this.#value, this.#weight([columns, rows], columns)], [batch, rows]));
    const transposed = dice.chance(0.5);
    const weight = this.#weight(transposed ? [rows, columns] : [columns, rows], columns);
    const bias = dice.chance(0.6) ? builder.gaussian(dice.pick([[rows], [1, rows], [1]]), 0.3) : null;
    const attributes = { alpha: { float: 0.5 }, beta: { float: 1.5 }, ...(transposed ? { transB: 1 } : {}) };
    this.#product(builder.node("Gemm", [this.#value, weight, bias], [batch, rows], attributes));
  }

  /** A factor and a summand, in one of their forms. */
  #affine(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const value = this.#value;
    const channels = value.shape[1] as number;
    const each = dice.chance(0.6) ? [channels, ...value.shape.slice(2).map(() => 1)] : dice.pick([[], [1]]);
    switch (dice.below(6)) {
      case 0: {
        const numbers = [builder.positive([channels]), builder.gaussian([channels], 0.3), builder.gaussian([channels], 0.3)];
        const inputs = [value, ...numbers, builder.positive([channels])];
        this.#value = builder.node("BatchNormalization", inputs, value.shape, dice.chance(0.5) ? { epsilon: { float: 0.01 } } : {});
        break;
      }
      case 1:
        this.#value = builder.node("Mul", dice.shuffled([value, builder.gaussian(each, 0.8)]), value.shape);
        break;
      case 2:
        this.#value = builder.node("Div", [value, builder.positive(each)], value.shape);
        break;
      case 3:
        this.#value = builder.node("Sub", dice.shuffled([value, builder.gaussian(each, 0.5)]), value.shape);
        break;
      case 4:
        this.#value = builder.node("Neg", [value], value.shape);
        break;
      default:
        this.#value = builder.node("Add", dice.shuffled([value, builder.gaussian(each, 0.5)]), value.shape);
    }
  }

  #polynomial(): void {
    const dice = this.#dice;
    const builder = this.#builder;
    const value = this.#value;
    const { shape } = value;
    if (this.#degree > 2) return;
    const square = (): Drawn =>
      dice.chance(0.5) ? builder.node("Mul", [value, value], shape) : builder.node("Pow", [value, builder.scalar(2)], shape);
    switch (dice.below(4)) {
      case 0:
        this.#value = builder.node("Pow", [value, builder.scalar(dice.between(2, 4))], shape);
        break;
      case 1: {
        // a x^2 + b x + c, as learned activations are written
        const left = builder.node("Mul", [square(), builder.scalar(dice.uniform(-0.5, 0.5))], shape);
        const right = builder.node("Mul", [builder.scalar(dice.uniform(-0.5, 0.5)), value], shape);
        const sum = builder.node("Add", [left, right], shape);
        for (const { name } of [left, right]) this.#inside.add(name);
        this.#value = builder.node("Add", [sum, builder.scalar(0.25)], shape);
        break;
      }
      case 2: {
        // x (x - 1) (x + 0.5)
        const low = builder.node("Sub", [value, builder.scalar(1)], shape);
        const high = builder.node("Add", [value, builder.scalar(0.5)], shape);
        const part = builder.node("Mul", [value, low], shape);
        for (const { name } of [low, high, part]) this.#inside.add(name);
        this.#value = builder.node("Mul", dice.shuffled([part, high]), shape);
        break;
      }
      default:
        this.#value = square();
    }
    this.#degree = 3;
    this.#layers++;
  }

  #nothing(): void {
    const dice = this.#dice;
    const { shape } = this.#value;
    const [operator, attributes] = dice.pick([
      ["Identity", {}],
      ["Dropout", {}],
      ["Cast", { to: 1 }],
    ] as const);
    this.#value = this.#builder.node(operator, [this.#value], shape, attributes);
  }
}
