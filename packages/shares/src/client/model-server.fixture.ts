/**
 * The real server with a random model.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layoutSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { SHARE_FILES } from "../model/share-directory.ts";
import { startShareServer, type ShareServer } from "../server/serve.ts";
import type { ShareModel } from "./share-model.fixture.ts";

/** Writes the model to a directory of its own and serves it on 127.0.0.1; the directory goes with the server. */
export async function startModelServer({ layout, weights }: ShareModel, tls?: { cert: string; key: string }): Promise<ShareServer> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-share-model-"));
  const remove = (): void => rmSync(directory, { recursive: true });
  try {
    const inputs = new Map(layout.groups.flatMap((group) => group.layers.map(({ name }) => [name, group.in] as const)));
    const planned = [...weights].map(([name, numbers]) => {
      const width = inputs.get(name.slice(0, name.lastIndexOf(".")))!;
      return { name, format: "I8" as const, shape: [numbers.length / width, width] };
    });
    const { files, locations } = layoutSafetensors(planned, { metadata: { fingerprint: layout.fingerprint } });
    const bytes = new Uint8Array(files[0]!.bytes);
    bytes.set(files[0]!.header);
    for (const [name, numbers] of weights) bytes.set(new Uint8Array(numbers.buffer), locations.get(name)!.offset);
    writeFileSync(join(directory, SHARE_FILES.weights), bytes);
    writeFileSync(join(directory, SHARE_FILES.layout), JSON.stringify(layout));
    const server = await startShareServer({ directory, port: 0, kernel: "wasm", tls });
    return { ...server, close: () => server.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}
