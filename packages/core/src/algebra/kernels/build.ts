/**
 * Compiles the kernels and embeds them: `npm run build:kernels`. A test compiles again and compares the bytes.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { arenaBytes } from "./memory.ts";

const PAGE_BYTES = 65536;

const SOURCE = fileURLToPath(new URL("kernels.as.ts", import.meta.url));

/** AssemblyScript with SIMD, compiled, over a memory of fixed size. @throws Error with the compiler's messages. */
export async function compileKernels(source = SOURCE, memoryBytes = arenaBytes): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-kernels-"));
  const output = join(directory, "kernels.wasm");
  const pages = memoryBytes / PAGE_BYTES;
  try {
    const flags = `--enable simd --runtime stub -O3 --noAssert --initialMemory ${pages} --maximumMemory ${pages}`.split(" ");
    const { error, stderr } = await asc.main([source, "--outFile", output, ...flags]);
    if (error) throw new Error(`the kernels do not compile: ${stderr.toString()}`, { cause: error });
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await compileKernels();
  const text = `// Compiled from kernels.as.ts by \`npm run build:kernels\`; do not edit.\nexport const kernelsBase64 = "${Buffer.from(bytes).toString("base64")}";\n`;
  writeFileSync(new URL("kernels.wasm.ts", import.meta.url), text);
  process.stdout.write(`kernels.wasm.ts: ${bytes.length} bytes of WebAssembly\n`);
}
