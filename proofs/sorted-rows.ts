/**
 * The quickest attack on an encoder whose stream can only be permuted: the rows of its word table keep their numbers, in another
 * order, so sorting each row finds the public row that it was, and with it the token.
 *
 *     node_modules/.bin/node proofs/sorted-rows.ts [MODEL.onnx]
 *
 * Knows nothing of keys or groups and runs no model; the true permutation is used only to count the hits at the end.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptOnnx } from "@unseen/core/blueprint/trace/encrypt.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { sharedPath } from "../tests/shared.ts";

/** The sorted magnitudes of every row of a model's largest float32 table with `rows` rows, as digests. */
async function sortedRows(path: string, rows: number): Promise<string[]> {
  const { graph } = await openOnnx(path);
  const tables = [...graph.initializers.values()].filter(
    ({ type, shape }) => type === "float32" && shape.length === 2 && shape[0] === rows,
  );
  const [table] = tables.toSorted((a, b) => b.bytes - a.bytes);
  if (!table) throw new Error(`${path} has no float32 table of ${rows} rows`);
  const bytes = table.read();
  const width = table.shape[1] as number;
  const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return Array.from({ length: rows }, (_, row) => {
    const sorted = numbers
      .subarray(row * width, (row + 1) * width)
      .map(Math.abs)
      .toSorted();
    return createHash("sha256").update(new Uint8Array(sorted.buffer)).digest("base64");
  });
}

const model = process.argv[2] ?? sharedPath("assets/sst2-distilbert/onnx/model.onnx");
if (!model) {
  process.stderr.write("sorted-rows: give a plain .onnx file of an encoder.\n");
  process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), "unseen-rows-"));
try {
  for (const strength of ["permute", "rotate"] as const) {
    const secret = randomBytes(32);
    const { output, manifest } = await encryptOnnx({
      source: model,
      output: join(directory, `${strength}.onnx`),
      key: { secret, strength },
    });
    const { vocabularySize } = manifest;
    if (vocabularySize === 0) throw new Error(`${model} takes no token ids`);
    const started = performance.now();
    const places = new Map((await sortedRows(output, vocabularySize)).map((digest, cipher) => [digest, cipher]));
    const guesses = (await sortedRows(model, vocabularySize)).map((digest) => places.get(digest));
    const seconds = (performance.now() - started) / 1000;
    const truth = vocabularyPermutation(secret, vocabularySize);
    const right = guesses.filter((cipher, id) => cipher === truth[id]).length;
    process.stdout.write(
      `${strength.padEnd(8)} ${right} of ${vocabularySize} token ids recovered without the key, in ${seconds.toFixed(1)} s\n`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
