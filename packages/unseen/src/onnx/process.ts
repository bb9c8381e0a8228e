/**
 * Entry of the process that runs ONNX models for a comparison.
 * @module
 */
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Numbers } from "@unseen/core/blueprint/trace/compare.ts";
import type { RunAnswer, RunRequest } from "./runner.ts";

const OPTIONS: InferenceSession.SessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 };
/** Sessions by file; a model in memory is opened each time. */
const sessions = new Map<string, InferenceSession>();

process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (request: RunRequest) => {
  const answer = (message: RunAnswer): void => void process.send?.(message);
  run(request).then(
    (outputs) => answer({ id: request.id, outputs }),
    (error: unknown) => answer({ id: request.id, failure: firstLine(error) }),
  );
});

async function run({ model, inputs }: RunRequest): Promise<Map<string, Numbers>> {
  const session = await sessionOf(model);
  const feeds = Object.fromEntries(
    [...inputs].filter(([name]) => session.inputNames.includes(name)).map(([name, numbers]) => [name, toTensor(numbers)]),
  );
  const outputs = await session.run(feeds);
  return new Map(Object.entries(outputs).map(([name, tensor]) => [name, fromTensor(tensor)]));
}

async function sessionOf(model: string | Uint8Array): Promise<InferenceSession> {
  if (typeof model !== "string") return InferenceSession.create(model, OPTIONS);
  const open = sessions.get(model) ?? (await InferenceSession.create(model, OPTIONS));
  sessions.set(model, open);
  return open;
}

function toTensor({ type, shape, data }: Numbers): Tensor {
  switch (type) {
    case "int64":
      return new Tensor("int64", BigInt64Array.from(data, BigInt), shape);
    case "int32":
      return new Tensor("int32", Int32Array.from(data), shape);
    case "bool":
      return new Tensor("bool", Uint8Array.from(data), shape);
    case "float64":
      return new Tensor("float64", data, shape);
    case "float16":
      return new Tensor("float16", Float16Array.from(data) as unknown as Uint16Array, shape);
    default:
      return new Tensor("float32", Float32Array.from(data), shape);
  }
}

function fromTensor(tensor: Tensor): Numbers {
  const data = Float64Array.from(tensor.data as ArrayLike<number>, Number);
  return { type: tensor.type === "int64" ? "int64" : "float32", shape: [...tensor.dims], data };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 300);
}
