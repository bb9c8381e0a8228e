/**
 * What tests publish: the chest X-ray network that comes with the repository.
 * @module
 */
import { readFileSync } from "node:fs";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import type { Publication } from "./publish.ts";

/** The network's ONNX file. */
export const xrayFile = new Uint8Array(readFileSync(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url)));

/** How it is published. */
export const publication: Publication = {
  name: "xray",
  card: "# An example",
  licence: "CC-BY-4.0",
  labels: ["normal", "pneumonia"],
  scale: 1,
  leaks: [],
  budget: 60,
};

/** Runs of four weights of the network, as its file has them: the first 16 bytes of every 64. */
export function weightRuns(): Buffer[] {
  const floats = [...decodeOnnx(xrayFile).graph.initializers.values()].filter(({ type }) => type === "float32");
  return floats.flatMap((tensor) => {
    const bytes = tensor.read();
    return Array.from({ length: Math.floor((bytes.length + 48) / 64) }, (_, index) =>
      Buffer.from(bytes.slice(index * 64, index * 64 + 16)),
    );
  });
}
