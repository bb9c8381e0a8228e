/**
 * Compiles the kernels of a share server and embeds them: a part of `npm run build:kernels`. A test compiles again and compares.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

/** The memory grows with the model, up to all that 32-bit pointers reach. */
const FLAGS = "--enable simd --runtime stub -O3 --noAssert --initialMemory 1 --maximumMemory 65536".split(" ");

/** The compiled kernels. @throws Error with the compiler's messages. */
export async function compileRing(): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-kernels-"));
  const output = join(directory, "kernels.wasm");
  try {
    const source = fileURLToPath(new URL("kernels.as.ts", import.meta.url));
    const { error, stderr } = await asc.main([source, "--outFile", output, ...FLAGS]);
    if (error) throw new Error(`the kernels do not compile: ${stderr.toString()}`, { cause: error });
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await compileRing();
  const text = `// Compiled from kernels.as.ts by \`npm run build:kernels\`; do not edit.\nexport const ringBase64 = "${Buffer.from(bytes).toString("base64")}";\n`;
  writeFileSync(new URL("kernels.wasm.ts", import.meta.url), text);
  process.stdout.write(`kernels.wasm.ts: ${bytes.length} bytes of WebAssembly\n`);
}
