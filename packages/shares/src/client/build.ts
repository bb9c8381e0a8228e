/**
 * Compiles the kernel of the integrity check and embeds it: a part of `npm run build:kernels`. A test compiles again and compares.
 * @module
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileKernels } from "@unseen/core/algebra/kernels/build.ts";

/** Bytes of the kernel's memory; equal to `kernelBytes` of field.ts, which cannot be loaded before the kernel is built. */
const MEMORY = 33 * 2 ** 20;

/** The compiled kernel. @throws Error with the compiler's messages. */
export function compileField(): Promise<Uint8Array> {
  return compileKernels(fileURLToPath(new URL("field.as.ts", import.meta.url)), MEMORY);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await compileField();
  const text = `// Compiled from field.as.ts by \`npm run build:kernels\`; do not edit.\nexport const fieldBase64 = "${Buffer.from(bytes).toString("base64")}";\n`;
  writeFileSync(new URL("field.wasm.ts", import.meta.url), text);
}
