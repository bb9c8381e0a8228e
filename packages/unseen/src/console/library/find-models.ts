/**
 * The models that lie in the home, and how one is deleted.
 * @module
 */
import { randomBytes } from "node:crypto";
import { lstat, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Home } from "@unseen/client/home.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";

/** Models that are listed (CWE-770). */
const MAXIMUM_MODELS = 2000;
const MODEL_FILE = /\.(?:gguf|onnx)$/;

/** A model that lies in the home. */
export interface FoundModel {
  readonly path: string;
  /** `NAME`, or `ORG/NAME` for one that was pulled. */
  readonly name: string;
  readonly bytes: number;
}

/** Every model of the home: a file or a directory in `models`, or one below. Links are not followed; what is being written is left out. */
export async function findModels(home: Home): Promise<FoundModel[]> {
  const models: FoundModel[] = [];
  for (const name of await namesIn(home.models)) {
    const path = join(home.models, name);
    const found = await modelAt(path, name);
    if (found) models.push(found);
    else if (await isDirectory(path)) {
      for (const inner of await namesIn(path)) {
        const pulled = await modelAt(join(path, inner), `${name}/${inner}`);
        if (pulled) models.push(pulled);
        if (models.length >= MAXIMUM_MODELS) return models;
      }
    }
    if (models.length >= MAXIMUM_MODELS) return models;
  }
  return models;
}

/** Deletes a model that {@link findModels} lists, and nothing else. @throws UnseenError MODEL_NOT_FOUND, PERMISSION_DENIED */
export async function deleteModel(home: Home, path: string): Promise<void> {
  const found = (await findModels(home)).find((model) => model.path === path);
  if (!found)
    throw new UnseenError("MODEL_NOT_FOUND", `${path.slice(0, 300)} is no model in ${home.models}.`, {
      hint: "Models elsewhere are yours to delete; those that come along stay.",
    });
  // Hidden first, in one step: killed in the middle, nothing takes what is left for a model.
  const hidden = join(dirname(path), `.deleted-${basename(path).slice(0, 100)}-${randomBytes(6).toString("hex")}`);
  try {
    await rename(path, hidden);
    await rm(hidden, { recursive: true });
  } catch (error) {
    throw explainSystemError(error, path);
  }
  // The directory of a publisher of whom nothing is left.
  if (dirname(path) !== home.models) await rmdir(dirname(path)).catch(() => {});
}

async function modelAt(path: string, name: string): Promise<FoundModel | null> {
  const information = await lstat(path).catch(() => null);
  if (information?.isFile()) return MODEL_FILE.test(path) ? { path, name: name.replace(MODEL_FILE, ""), bytes: information.size } : null;
  if (!information?.isDirectory()) return null;
  const names = await namesIn(path);
  const isModel = names.some((inner) => inner === "config.json" || inner === "unseen.json" || MODEL_FILE.test(inner));
  if (!isModel) return null;
  const sizes = await Promise.all(
    names.map(async (inner) => {
      const file = await lstat(join(path, inner)).catch(() => null);
      return file?.isFile() ? file.size : 0;
    }),
  );
  return { path, name, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() === true;
}

/** What is visible in a directory, without leftovers of what was interrupted; nothing where there is none. */
async function namesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw explainSystemError(error, directory);
  });
  return names.filter((name) => !name.startsWith(".") && !name.endsWith(".partial")).toSorted();
}
