/**
 * For tests: models taken apart into temporary directories.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { writeVariant, type Variant } from "@unseen/core/blueprint/variant.fixture.ts";
import { prepareShares, type PreparedShares } from "./prepare-shares.ts";

export interface Prepared extends PreparedShares {
  readonly model: Model;
  readonly serverA: string;
  readonly serverB: string;
  readonly client: string;
}

/** A place for the models of one test file. */
export class PreparedModels {
  readonly directory = mkdtempSync(join(tmpdir(), "unseen-shares-"));
  #count = 0;

  /** A path for something new. */
  next(): string {
    this.#count += 1;
    return join(this.directory, String(this.#count));
  }

  /** Takes a model on disk apart. */
  async prepare(path: string, bits: 8 | 16): Promise<Prepared> {
    const model = await openModel(path);
    const [serverA, serverB, client] = [this.next(), this.next(), this.next()] as [string, string, string];
    return {
      model,
      serverA,
      serverB,
      client,
      ...prepareShares({ model, bits, outA: serverA, outB: serverB, client, fingerprint: "test" }),
    };
  }

  /** Makes a small model with random weights and takes it apart. */
  prepareVariant(variant: Variant, bits: 8 | 16): Promise<Prepared> {
    const path = this.next();
    writeVariant(path, variant);
    return this.prepare(path, bits);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The path of the bundled story model. */
export const STORY_MODEL = new URL("../../../unseen/models/story-llama", import.meta.url).pathname;
