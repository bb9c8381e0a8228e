/**
 * The ends of an encrypted model, as the host and as the client are told of them.
 * @module
 */
import type { OnnxModel, OnnxValueInfo } from "../../checkpoint/onnx.ts";
import type { ClientInput, ClientInterface, PublicInterface, Task } from "../interface.ts";
import { isIdentityRecipe, type Recipe } from "../recipe.ts";
import { axisRecipe, type NodeChange, type TracePlan } from "./plan.ts";
import type { OnnxOptions, Traced, Usage } from "./trace-model.ts";

/** Both sides of a model's ends; the rest of the client's side comes from the files beside the model. */
export interface Ends {
  readonly publicInterface: PublicInterface;
  readonly clientInterface: Pick<ClientInterface, "inputs" | "outputs" | "fixedLength" | "task" | "pooling" | "maximumLength">;
}

/** Class scores leave under any map; vectors that somebody compares keep their geometry. */
export function taskOf(model: OnnxModel, usage: Usage): Task {
  if (usage.task) return usage.task;
  const [output] = model.graph.outputs;
  if (!output) return "other";
  if (/hidden|embed|pool|feature/i.test(output.name)) return "embedding";
  if (/logit|class|prob|label|score/i.test(output.name) || output.shape?.length === 2) return "classification";
  return output.shape?.length === 3 ? "embedding" : "other";
}

/** What the host and the client are told of the model's ends. */
export function interfacesOf({ trace, plan }: Pick<Traced, "trace" | "plan">, usage: OnnxOptions): Ends {
  const { graph } = trace.model;
  const task = taskOf(trace.model, usage);
  const rank = graph.outputs[0]?.shape?.length ?? 0;
  const common = {
    task,
    pooling: usage.pooling === undefined ? (task === "embedding" && rank === 3 ? ("mean" as const) : null) : usage.pooling,
    maximumLength: usage.secretOrder ?? usage.maximumLength ?? null,
  };
  const peaks = new Map(peaksOf(plan).map(({ name, ids }) => [name, ids]));
  const shapeOf = ({ name, shape }: OnnxValueInfo): (number | string)[] => (shape ?? []).map((size, axis) => size ?? `${name}.${axis}`);
  const publicInterface: PublicInterface = {
    inputs: withPeaks(graph.inputs, plan).map((info) => {
      const ids = plan.ids.get(info.name);
      const kind = peaks.has(info.name) ? "peaks" : (trace.inputKinds.get(info.name) ?? "tensor");
      const size = ids?.size ?? trace.ids.get(info.name)?.space?.size;
      return {
        name: info.name,
        kind: kind === "ids" && size === undefined ? "tensor" : kind,
        type: info.type ?? "float32",
        shape: shapeOf(info),
        ...(kind === "ids" && size !== undefined ? { vocabularySize: size } : {}),
      };
    }),
    outputs: graph.outputs.map((info) => ({
      name: info.name,
      shape: shapeOf(info),
      isometric: task === "embedding",
    })),
    ...common,
  };
  const recipesOf = (name: string): (Recipe | null)[] =>
    (trace.values.get(name)?.places ?? []).map((place) => {
      const recipe = axisRecipe(trace, place);
      return isIdentityRecipe(recipe) ? null : recipe;
    });
  const clientInterface: Ends["clientInterface"] = {
    inputs: withPeaks(graph.inputs, plan).map(({ name }): ClientInput => {
      const ids = plan.ids.get(name);
      const peak = peaks.get(name);
      if (peak !== undefined) return { name, kind: "peaks", of: peak };
      const own = usage.secretOrder === undefined ? null : (trace.values.get(name)?.axes?.[1] ?? null);
      const order =
        own && trace.inputKinds.get(name) !== "tensor" ? { order: axisRecipe(trace, { value: name, axis: 1, space: own }) } : {};
      if (ids) return { name, kind: "ids", ...ids, ...order };
      const kind = trace.inputKinds.get(name) ?? "tensor";
      const open = kind === "ids" ? trace.ids.get(name)?.space?.size : undefined;
      if (open !== undefined) return { name, kind: "ids", label: null, size: open, ...order };
      return kind === "ids" || kind === "peaks" || kind === "tensor"
        ? { name, kind: "tensor", axes: recipesOf(name) }
        : { name, kind, ...order };
    }),
    outputs: graph.outputs.map(({ name }) => ({ name, axes: recipesOf(name) })),
    fixedLength: usage.secretOrder ?? null,
    ...common,
  };
  return { publicInterface, clientInterface };
}

function peaksOf(plan: TracePlan): (NodeChange & { kind: "peak" })[] {
  const found = plan.changes.filter((change) => change.kind === "peak");
  return found.filter((change, i) => found.findIndex(({ name }) => name === change.name) === i);
}

/** The graph's inputs and those that say what permuted ids no longer show. */
export function withPeaks(inputs: readonly OnnxValueInfo[], plan: TracePlan): OnnxValueInfo[] {
  return [...inputs, ...peaksOf(plan).map(({ name, shape }): OnnxValueInfo => ({ name, type: "int64", shape }))];
}
