/**
 * For tests: asks ONNX Runtime what one operator makes of given tensors, in a process of its own, since a native assertion ends
 * the process.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { toBfloat16, toFloat16 } from "../../checkpoint/rounding.ts";
import type { Known } from "./known.ts";

/** An attribute as a test writes it: a number is an integer, `{ float }` a float, a string a string, a list one of integers. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] } | Known;

/** One operator on constant inputs. */
export interface Question {
  readonly operator: string;
  readonly opset: number;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly (Known | null)[];
  readonly outputs: number;
}

const SCRIPT = `
const runtime = await import(process.argv[1]);
process.on("message", async ({ index, model }) => {
  try {
    const session = await runtime.InferenceSession.create(model, {
      graphOptimizationLevel: "disabled", intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4,
    });
    const results = await session.run({});
    const outputs = session.outputNames.map((name) => {
      const { type, dims, data } = results[name];
      return { type, shape: [...dims], data: Float64Array.from(data, Number) };
    });
    await session.release();
    process.send({ index, outputs });
  } catch (error) {
    process.send({ index, error: String(error.message) });
  }
});
process.send({ index: -1 });
`;

interface Reply {
  readonly index: number;
  readonly outputs?: Known[];
  readonly error?: string;
}

/** ONNX Runtime in a child process; `close` ends it. */
export class OneNodeRuntime {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (reply: Reply) => {
      this.#waiting.get(reply.index)?.(reply);
      this.#waiting.delete(reply.index);
    });
    child.on("exit", () => {
      for (const [index, resolve] of this.#waiting) resolve({ index, error: "the runtime's process ended" });
    });
  }

  static async open(): Promise<OneNodeRuntime> {
    const engine = import.meta.resolve("onnxruntime-node");
    const child = spawn(process.execPath, ["--input-type=module", "--eval", SCRIPT, engine], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      serialization: "advanced",
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    await once(child, "message");
    return new OneNodeRuntime(child);
  }

  /** The operator's outputs, or ONNX Runtime's reason to refuse. */
  async ask(question: Question): Promise<Known[] | string> {
    return this.run(encodeQuestion(question));
  }

  /** The outputs of a model without inputs, or ONNX Runtime's reason to refuse. */
  async run(model: Uint8Array): Promise<Known[] | string> {
    const index = this.#asked++;
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting.set(index, resolve);
      this.#child.send({ index, model });
    });
    return reply.outputs ?? reply.error!;
  }

  close(): void {
    this.#child.kill();
  }
}

/** The bytes of a known tensor in its own type, little-endian. */
export function packed({ type, data }: Known): Uint8Array {
  const array = arrays[type]!(data);
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

const arrays: Partial<Record<OnnxType, (data: Float64Array) => ArrayBufferView>> = {
  float32: (data) => Float32Array.from(data),
  float64: (data) => data,
  float16: (data) => Uint16Array.from(data, toFloat16),
  bfloat16: (data) => Uint16Array.from(data, toBfloat16),
  int8: (data) => Int8Array.from(data),
  uint8: (data) => Uint8Array.from(data),
  int16: (data) => Int16Array.from(data),
  uint16: (data) => Uint16Array.from(data),
  int32: (data) => Int32Array.from(data),
  uint32: (data) => Uint32Array.from(data),
  int64: (data) => BigInt64Array.from(data, toBig),
  uint64: (data) => BigUint64Array.from(data, (value) => (value === Number.MAX_SAFE_INTEGER ? 2n ** 64n - 1n : BigInt(value))),
  bool: (data) => Uint8Array.from(data),
};

function toBig(value: number): bigint {
  return value === Number.MAX_SAFE_INTEGER ? 2n ** 63n - 1n : value === -Number.MAX_SAFE_INTEGER ? -(2n ** 63n) : BigInt(value);
}

/** A known tensor as a file holds it. */
export function stored(known: Known, name = ""): OnnxTensor {
  return tensorOf(name, known.type, known.shape, packed(known));
}

function toAttribute(value: Attribute): OnnxAttribute {
  if (typeof value === "number") return { kind: "int", value };
  if (typeof value === "string") return { kind: "string", value: Buffer.from(value) };
  if ("float" in value) return { kind: "float", value: value.float };
  if ("floats" in value) return { kind: "floats", value: value.floats };
  if ("data" in value) return { kind: "tensor", value: stored(value) };
  return { kind: "ints", value };
}

/** The node of a question: inputs `in0`, ..., outputs `out0`, ... */
export function nodeOf({ operator, inputs, attributes, outputs }: Question): OnnxNode {
  const named = Object.entries(attributes).map(([name, value]) => [name, toAttribute(value)] as const);
  return onnxNode(
    operator,
    inputs.map((input, index) => (input === null ? "" : `in${index}`)),
    Array.from({ length: outputs }, (_, index) => `out${index}`),
    Object.fromEntries(named),
  );
}

function encodeQuestion(question: Question): Uint8Array {
  const node = nodeOf(question);
  const initializers = question.inputs.flatMap((input, index) => (input === null ? [] : [stored(input, `in${index}`)]));
  return encodeOnnx({
    nodes: [node],
    initializers: new Map(initializers.map((tensor) => [tensor.name, tensor])),
    inputs: [],
    outputs: node.outputs.map((name) => ({ name, type: null, shape: null })), // left to ONNX Runtime's inference
    opsets: new Map([["", question.opset]]),
  });
}
