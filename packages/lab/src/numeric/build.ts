/**
 * Compiles the kernel of matrix products and embeds it: a part of `npm run build:kernels`. A test compiles again and compares.
 * @module
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileKernels } from "@unseen/core/algebra/kernels/build.ts";

/** Bytes of the kernel's memory; equal to `kernelBytes` of multiply.ts, which cannot be loaded before the kernel is built. */
const MEMORY = 64 * 2 ** 20;

/** The compiled kernel. @throws Error with the compiler's messages. */
export function compileMultiply(): Promise<Uint8Array> {
  return compileKernels(fileURLToPath(new URL("multiply.as.ts", import.meta.url)), MEMORY);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await compileMultiply();
  const text = `// Compiled from multiply.as.ts by \`npm run build:kernels\`; do not edit.\nexport const multiplyBase64 = "${Buffer.from(bytes).toString("base64")}";\n`;
  writeFileSync(new URL("multiply.wasm.ts", import.meta.url), text);
  process.stdout.write(`multiply.wasm.ts: ${bytes.length} bytes of WebAssembly\n`);
}
