/**
 * ONNX models: how fast they are encrypted, and what encryption costs when they are served, alone and in batches.
 * @module
 */
import { copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import type { OnnxNode, OnnxTensor } from "@unseen/core/checkpoint/onnx.ts";
import { timeEncryption } from "./encryption.ts";
import { startHostProcess } from "./hosts.ts";
import { alternate, median, medianRatio, seconds, type Figure } from "./measure.ts";

const ROUNDS = 3;
/** A pre-norm network of BERT-base's width and depth, without its attention: 12 x (768 -> 3072 -> 768) and a table of 30,522. */
const [WIDTH, INNER, LAYERS, VOCABULARY] = [768, 3072, 12, 30_522] as const;
const LENGTH = 32; // tokens of a request
const REQUESTS = 60;
const AT_ONCE = 16;

export async function encoders(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  const at = (name: string): string => join(directory, name);
  try {
    writeFileSync(at("plain.onnx"), encodeNetwork());
    const gigabytes = statSync(at("plain.onnx")).size / 1e9;
    const peaks: number[] = [];
    const run = (strength: string) => async (): Promise<number> => {
      rmSync(at(`${strength}.onnx`), { force: true });
      const result = await timeEncryption(at("plain.onnx"), at(`${strength}.onnx`), strength, at("home"));
      peaks.push(result.megabytes);
      return result.seconds;
    };
    const times = await alternate(ROUNDS, {
      copy: () => seconds(() => copyFileSync(at("plain.onnx"), at("copy.onnx"))),
      permute: run("permute"),
      rotate: run("rotate"),
    });
    rmSync(at("copy.onnx"));
    const figures: Figure[] = [
      { name: `ONNX of ${(gigabytes * 1000).toFixed(0)} MB: copy`, value: gigabytes / median(times.copy), unit: "GB/s" },
      { name: "encrypt --strength permute, process start to end", value: gigabytes / median(times.permute), unit: "GB/s" },
      { name: "encrypt --strength rotate, process start to end", value: gigabytes / median(times.rotate), unit: "GB/s" },
      { name: "peak memory", value: Math.max(...peaks), unit: "MiB" },
    ];
    const plain = await startHostProcess(at("plain.onnx"), at("home"), ["--plain"]);
    const encrypted = await startHostProcess(at("rotate.onnx"), at("home"));
    try {
      const alone = { encrypted: () => ask(encrypted.url, 1), plain: () => ask(plain.url, 1) };
      const together = { encrypted: () => ask(encrypted.url, AT_ONCE), plain: () => ask(plain.url, AT_ONCE) };
      await alternate(1, alone);
      const one = await alternate(8, alone);
      const many = await alternate(8, together);
      figures.push(
        { name: `one request at a time, ${LENGTH} tokens`, value: (1000 * median(one.encrypted)) / REQUESTS, unit: "ms" },
        { name: "encrypted : plain, speed, one at a time", value: medianRatio(one.plain, one.encrypted), unit: "", goal: ">= 0.99" },
        { name: `${AT_ONCE} requests at a time`, value: REQUESTS / median(many.encrypted), unit: "requests/s" },
        {
          name: `encrypted : plain, speed, ${AT_ONCE} at a time`,
          value: medianRatio(many.plain, many.encrypted),
          unit: "",
          goal: ">= 0.99",
        },
      );
    } finally {
      await Promise.all([plain.stop(), encrypted.stop()]);
    }
    return figures;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Seconds for all requests, `atOnce` of them open at a time. */
function ask(url: string, atOnce: number): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < REQUESTS) {
      const request = next++;
      const input = Array.from({ length: LENGTH }, (_, i) => (request * 7919 + i * 104_729) % VOCABULARY);
      const response = await fetch(`${url}/classify`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ input }),
      });
      if (!response.ok) throw new Error(`the host answered ${response.status}`);
      await response.arrayBuffer();
    }
  };
  return seconds(() => Promise.all(Array.from({ length: atOnce }, worker)));
}

function encodeNetwork(): Uint8Array {
  let state = 1;
  const initializers = new Map<string, OnnxTensor>();
  const weight = (name: string, shape: readonly number[], scale: number, centre = 0): string => {
    const values = Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => {
      // Numerical Recipes' linear congruential generator: a benchmark's noise, no secret.
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return centre + scale * (state / 2 ** 31 - 1);
    });
    initializers.set(name, tensorOf(name, "float32", shape, new Uint8Array(values.buffer)));
    return name;
  };
  const nodes: OnnxNode[] = [onnxNode("Gather", [weight("table", [VOCABULARY, WIDTH], 0.05), "input_ids"], ["x0"])];
  for (let layer = 0; layer < LAYERS; layer++) {
    const own = (name: string): string => `l${layer}.${name}`;
    nodes.push(
      onnxNode("LayerNormalization", [`x${layer}`, weight(own("gain"), [WIDTH], 0.1, 1), weight(own("offset"), [WIDTH], 0.1)], [own("n")]),
      onnxNode("MatMul", [own("n"), weight(own("up"), [WIDTH, INNER], 0.05)], [own("h")]),
      onnxNode("Relu", [own("h")], [own("a")]),
      onnxNode("MatMul", [own("a"), weight(own("down"), [INNER, WIDTH], 0.02)], [own("d")]),
      onnxNode("Add", [`x${layer}`, own("d")], [`x${layer + 1}`]),
    );
  }
  nodes.push(
    onnxNode("ReduceMean", [`x${LAYERS}`], ["mean"], { axes: { kind: "ints", value: [1] }, keepdims: { kind: "int", value: 0 } }),
    onnxNode("MatMul", ["mean", weight("head", [WIDTH, 2], 0.1)], ["logits"]),
  );
  return encodeOnnx({
    nodes,
    initializers,
    inputs: [{ name: "input_ids", type: "int64", shape: ["batch", "sequence"] }],
    outputs: [{ name: "logits", type: "float32", shape: ["batch", 2] }],
  });
}
