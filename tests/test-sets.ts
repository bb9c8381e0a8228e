/**
 * Test sets of real models as batches of input tensors with their labels, from the optional folder of test data.
 * @module
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import type { Numbers } from "@unseen/core/blueprint/trace/compare.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { sharedPath } from "./shared.ts";

/** Inputs of a model for some examples, and what they are. */
export interface Batch {
  readonly inputs: ReadonlyMap<string, Numbers>;
  readonly labels: readonly number[];
}

/** A real model and the examples it is judged on. */
export interface TestSet {
  readonly name: string;
  readonly model: string;
  readonly examples: string;
  batches(): AsyncGenerator<Batch>;
}

const float = (shape: readonly number[], data: Float64Array): Numbers => ({ type: "float32", shape, data });

/** Every real model that is here. */
export function testSets(): TestSet[] {
  const sets: (TestSet | null)[] = [
    textSet("sst2-distilbert", "assets/sst2-distilbert", "872 sentences of the SST-2 development set"),
    textSet("sentence-encoder", "assets/sentence-encoder", "872 sentences of the SST-2 development set"),
    imageSet(
      "xray-cnn",
      "assets/xray-cnn/model.onnx",
      "468 chest X-rays of the test set",
      "data/vision/pneumoniamnist.npz",
      readXrays,
      52,
      (pixels) => ({
        shape: [1, 28, 28],
        data: Float64Array.from(pixels, (value) => value / 255),
      }),
    ),
    // Its graph is fixed to one picture at a time.
    imageSet(
      "mnist-cnn",
      "data/vision/mnist-cnn.onnx",
      "10,000 MNIST test images",
      "data/vision/t10k-images-idx3-ubyte.gz",
      readMnist,
      1,
      (pixels) => ({
        shape: [1, 28, 28],
        data: Float64Array.from(pixels),
      }),
    ),
    imageSet(
      "vit-mnist",
      "data/vision/vit-mnist/model.onnx",
      "10,000 MNIST test images",
      "data/vision/t10k-images-idx3-ubyte.gz",
      readMnist,
      100,
      (pixels) => ({
        shape: [28, 28],
        data: Float64Array.from(pixels, (value) => (value / 255 - 0.1307) / 0.3081),
      }),
    ),
    imageSet(
      "resnet20-cifar10",
      "data/vision/resnet20-cifar10/model.onnx",
      "500 CIFAR-10 test images",
      "data/vision/cifar10-test-500.safetensors",
      readCifar,
      50,
      (pixels) => {
        const [mean, deviation] = [
          [0.485, 0.456, 0.406],
          [0.229, 0.224, 0.225],
        ] as const;
        const data = new Float64Array(3 * 1024);
        for (let i = 0; i < 1024; i++)
          for (let c = 0; c < 3; c++)
            data[c * 1024 + i] = ((pixels[3 * i + c] as number) / 255 - (mean[c] as number)) / (deviation[c] as number);
        return { shape: [3, 32, 32], data };
      },
    ),
  ];
  return sets.filter((set): set is TestSet => set !== null);
}

interface Pictures {
  readonly size: number;
  readonly pixels: Uint8Array;
  readonly labels: readonly number[];
}

function imageSet(
  name: string,
  model: string,
  examples: string,
  source: string,
  read: (path: string) => Promise<Pictures> | Pictures,
  batch: number,
  prepare: (pixels: Uint8Array) => { shape: readonly number[]; data: Float64Array },
): TestSet | null {
  const [modelPath, sourcePath] = [sharedPath(model), sharedPath(source)];
  if (!modelPath || !sourcePath) return null;
  return {
    name,
    model: modelPath,
    examples,
    async *batches() {
      const { openOnnx } = await import("@unseen/core/checkpoint/onnx.ts");
      const input = (await openOnnx(modelPath)).graph.inputs[0]!.name;
      const { size, pixels, labels } = await read(sourcePath);
      for (let start = 0; start < labels.length; start += batch) {
        const count = Math.min(batch, labels.length - start);
        const prepared = Array.from({ length: count }, (_, i) => prepare(pixels.subarray((start + i) * size, (start + i + 1) * size)));
        const each = prepared[0]!.data.length;
        const data = new Float64Array(count * each);
        prepared.forEach((picture, i) => data.set(picture.data, i * each));
        yield { inputs: new Map([[input, float([count, ...prepared[0]!.shape], data)]]), labels: labels.slice(start, start + count) };
      }
    },
  };
}

function textSet(name: string, directory: string, examples: string): TestSet | null {
  const [model, sentences, tokenizerDirectory] = [
    sharedPath(`${directory}/onnx/model.onnx`),
    sharedPath("data/text/sst2-dev.tsv"),
    sharedPath(directory),
  ];
  if (!model || !sentences || !tokenizerDirectory) return null;
  return {
    name,
    model,
    examples,
    async *batches() {
      const tokenizer = await TextTokenizer.load(tokenizerDirectory);
      for (const line of readFileSync(sentences, "utf8").split("\n")) {
        const [text, label] = line.split("\t");
        if (!text || label === undefined) continue;
        const ids = tokenizer.encode(text, { specialTokens: true });
        const whole = (data: readonly number[]): Numbers => ({ type: "int64", shape: [1, data.length], data: Float64Array.from(data) });
        yield {
          inputs: new Map([
            ["input_ids", whole(ids)],
            ["attention_mask", whole(ids.map(() => 1))],
            ["token_type_ids", whole(ids.map(() => 0))],
          ]),
          labels: [Number(label)],
        };
      }
    },
  };
}

/** MNIST's IDX files: a header of four (or two) big-endian words, then bytes. */
function readMnist(path: string): Pictures {
  const images = gunzipSync(readFileSync(path));
  const labels = gunzipSync(readFileSync(path.replace("images-idx3", "labels-idx1")));
  return { size: 784, pixels: images.subarray(16), labels: [...labels.subarray(8)] };
}

async function readCifar(path: string): Promise<Pictures> {
  const { tensors } = await openSafetensors(path);
  const bytes = readFileSync(path);
  const at = (name: string): Buffer => {
    const tensor = tensors.get(name)!;
    return bytes.subarray(tensor.offset, tensor.offset + tensor.bytes);
  };
  const labels = at("labels");
  return {
    size: 3072,
    pixels: at("images_u8"),
    labels: Array.from({ length: labels.length / 8 }, (_, i) => Number(labels.readBigInt64LE(8 * i))),
  };
}

/** A NumPy archive whose members are stored without compression. */
function readXrays(path: string): Pictures {
  const bytes = readFileSync(path);
  const member = (name: string): Buffer => {
    for (let at = 0; bytes.readUInt32LE(at) === 0x04034b50;) {
      const [nameLength, extraLength] = [bytes.readUInt16LE(at + 26), bytes.readUInt16LE(at + 28)];
      const start = at + 30 + nameLength + extraLength;
      const own = bytes.toString("latin1", at + 30, at + 30 + nameLength);
      // Members of 2^32 - 1 bytes are those with a 64-bit size in the extra field.
      const stated = bytes.readUInt32LE(at + 18);
      const size = stated === 0xffffffff ? Number(bytes.readBigUInt64LE(at + 30 + nameLength + 4)) : stated;
      if (own === name) {
        const array = bytes.subarray(start, start + size);
        return array.subarray(10 + array.readUInt16LE(8));
      }
      at = start + size;
    }
    throw new Error(`${path} has no ${name}`);
  };
  return { size: 784, pixels: member("test_images.npy"), labels: [...member("test_labels.npy")] };
}
