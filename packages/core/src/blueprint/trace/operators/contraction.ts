/**
 * Products that sum over shared axes: `MatMul`, `Gemm`, `Einsum`. The two sides of a sum carry maps that are dual to each other,
 * so that (x·T)·(T^-1·W) = x·W.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { Opaque, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";
import { Value } from "../value.ts";
import { addLaw, alignBroadcast } from "./elementwise.ts";

/** Index names of the axes of the operands and of the result. */
interface Indices {
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

function alignIndices(step: Step, indices: Indices): Space[] {
  const spaces = new Map<string, Space>();
  const visit = (pass: (name: string) => boolean): void =>
    indices.operands.forEach((names, i) => {
      const { axes } = step.input(i);
      if (axes.length !== names.length) throw new Opaque(`an operand of rank ${axes.length} where ${names.length} was expected`);
      names.forEach((name, axis) => {
        if (!pass(name)) return;
        const space = axes[axis] as Space;
        const known = spaces.get(name);
        if (!known || known.size === 1) spaces.set(name, space);
        else if (space.size !== 1) {
          if (known.size !== space.size) throw new Opaque(`sizes ${known.size} and ${space.size} meet`);
          known.unify(space);
        }
      });
    });
  // Shared indices first: the maps inside a head meet only after the heads have.
  visit((name) => indices.result.includes(name));
  visit((name) => !indices.result.includes(name));
  return indices.result.map((name) => spaces.get(name) ?? Space.leaf(1));
}

function indexLaw(step: Step, laws: Laws, indices: Indices): void {
  const output = step.output();
  const placesOf = (name: string): AxisPlace[] =>
    indices.operands.flatMap((names, i) =>
      names.flatMap((each, axis) => (each === name && step.input(i).axes[axis]!.size > 1 ? [step.input(i).axis(axis)] : [])),
    );
  const contracted: AxisPlace[] = [];
  const shared: AxisPlace[] = [];
  for (const name of new Set(indices.operands.flat())) {
    const places = placesOf(name);
    const [a, b, ...more] = places;
    const out = indices.result.indexOf(name);
    if (!a) continue;
    if (out >= 0) {
      if (b) {
        shared.push(...places);
        laws.balance([{ place: output.axis(out), power: 1 }, ...places.map((place) => ({ place, power: -1 }))]);
      } else laws.relate(output.axis(out), a);
    } else if (b) {
      contracted.push(...places);
      // A sum of products of three and more keeps no more than their order, and scales that cancel.
      if (more.length > 0) laws.balance(places.map((place) => ({ place, power: 1 })));
      else laws.relate(a, b, true);
    } else laws.restrict(a, "sum");
  }
  laws.confine(contracted, shared);
}

function matMulIndices(step: Step): Indices {
  const [a, b] = [step.input(0).axes.length, step.input(1).axes.length];
  if (a === 0 || b === 0) throw new Opaque("a scalar operand");
  const batch = Math.max(a, b) - 2;
  const names = (count: number): string[] => Array.from({ length: Math.max(count, 0) }, (_, i) => `batch${batch - count + i}`);
  const left = a === 1 ? ["k"] : [...names(a - 2), "m", "k"];
  const right = b === 1 ? ["k"] : [...names(b - 2), "k", "n"];
  const result = [...names(Math.max(a, b) - 2), ...(a === 1 ? [] : ["m"]), ...(b === 1 ? [] : ["n"])];
  return { operands: [left, right], result };
}

const matMul: Operator = {
  align(step) {
    step.give(0, alignIndices(step, matMulIndices(step)));
  },
  law(step, laws) {
    indexLaw(step, laws, matMulIndices(step));
  },
};

/** Of ONNX Runtime's optimiser: a factor in front, and operands whose last two axes are exchanged. */
export const fusedMatMul: Operator = {
  align(step) {
    step.give(0, alignIndices(step, fusedIndices(step)));
  },
  law(step, laws) {
    indexLaw(step, laws, fusedIndices(step));
  },
};

function fusedIndices(step: Step): Indices {
  if (step.int("transBatchA", 0) !== 0 || step.int("transBatchB", 0) !== 0) throw new Opaque("batch axes are exchanged");
  const { operands, result } = matMulIndices(step);
  const exchange = (names: readonly string[], which: string): readonly string[] =>
    step.int(which, 0) === 0 || names.length < 2 ? names : [...names.slice(0, -2), names.at(-1) as string, names.at(-2) as string];
  return { operands: [exchange(operands[0]!, "transA"), exchange(operands[1]!, "transB")], result };
}

function gemmIndices(step: Step): Indices {
  const side = (transposed: number, names: string[]): string[] => (transposed === 0 ? names : names.toReversed());
  return {
    operands: [side(step.int("transA", 0), ["m", "k"]), side(step.int("transB", 0), ["k", "n"])],
    result: ["m", "n"],
  };
}

const gemm: Operator = {
  align(step) {
    const axes = alignIndices(step, gemmIndices(step));
    const bias = step.optional(2);
    if (bias) alignBroadcast([new Value("", axes) as Value & { axes: readonly Space[] }, bias]);
    step.give(0, axes);
  },
  law(step, laws) {
    indexLaw(step, laws, gemmIndices(step));
    const bias = step.optional(2);
    if (bias) addLaw(laws, step.output(), [bias]);
  },
};

/** "bhqd,bhkd->bhqk", with spelled-out letters only. */
function einsumIndices(step: Step): Indices {
  const equation = step.text("equation").replaceAll(" ", "");
  const match = /^([A-Za-z]+(?:,[A-Za-z]+)*)(?:->([A-Za-z]*))?$/.exec(equation);
  if (!match) throw new Opaque(`equation ${equation.slice(0, 40)} is not covered`);
  const operands = (match[1] as string).split(",").map((names) => [...names]);
  if (operands.some((names) => new Set(names).size !== names.length)) throw new Opaque("a diagonal is taken");
  if (operands.length !== step.inputs.length) throw new Opaque("the equation names other operands");
  const all = operands.flat();
  const implicit = [...new Set(all)].filter((name) => all.filter((each) => each === name).length === 1).toSorted();
  return { operands, result: match[2] === undefined ? implicit : [...match[2]] };
}

const einsum: Operator = {
  align(step) {
    step.give(0, alignIndices(step, einsumIndices(step)));
  },
  law(step, laws) {
    indexLaw(step, laws, einsumIndices(step));
  },
};

export const contraction: Readonly<Record<string, Operator>> = { MatMul: matMul, Gemm: gemm, Einsum: einsum };
