/**
 * The key holder's directory: keys, bundles, downloaded models.
 * @module
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Absolute paths; a directory comes into being, readable by its owner alone, when something is first written there. */
export interface Home {
  readonly root: string;
  /** Key files and the identity that opens them: secret. */
  readonly keys: string;
  /** What is needed besides the key to talk to an encrypted model. */
  readonly bundles: string;
  /** Plain models as downloaded. */
  readonly models: string;
  /** What the lab measured, by the model's fingerprint. */
  readonly reports: string;
  /** Whatever can be made again. */
  readonly cache: string;
}

/** Finds the home: `UNSEEN_HOME`, or `.unseen` in the user's directory. */
export function resolveHome(environment: Readonly<Record<string, string | undefined>> = process.env): Home {
  const root = resolve(environment["UNSEEN_HOME"] || join(homedir(), ".unseen"));
  const at = (name: string): string => join(root, name);
  return { root, keys: at("keys"), bundles: at("bundles"), models: at("models"), reports: at("reports"), cache: at("cache") };
}
