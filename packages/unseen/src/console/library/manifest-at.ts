/**
 * What the model at a path says of its encryption, and of what family it is.
 * @module
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { parseManifest, type Manifest } from "@unseen/core/blueprint/manifest.ts";
import { openModel, readJson } from "@unseen/core/blueprint/model.ts";
import { isSealed, openSeal } from "@unseen/core/blueprint/trace/metadata.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";

/** What a listing shows of a model. */
export interface ModelNature {
  /** null: not encrypted. */
  readonly manifest: Manifest | null;
  readonly family: string | null;
}

/** Of a directory its small files alone are read, so that many can be listed. Throws `CHECKPOINT_*`. */
export async function natureOf(path: string): Promise<ModelNature> {
  const information = await lstat(path);
  if (information.isDirectory()) {
    const manifest = parseManifest(await readJson(join(path, "unseen.json")));
    const type = (await readJson(join(path, "config.json")))?.["model_type"];
    return { manifest, family: manifest?.family ?? (typeof type === "string" ? type.slice(0, 100) : null) };
  }
  if (path.endsWith(".onnx")) {
    const model = await openOnnx(path);
    const manifest = isSealed(model) ? openSeal(model).manifest : null;
    return { manifest, family: manifest?.family ?? "onnx" };
  }
  const { manifest, config } = await openModel(path);
  const type = config["model_type"];
  return { manifest, family: manifest?.family ?? (typeof type === "string" ? type.slice(0, 100) : null) };
}
