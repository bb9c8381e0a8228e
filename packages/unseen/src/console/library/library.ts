/**
 * What the key holder has: models in clear, encrypted ones, and keys.
 * @module
 */
import { existsSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { bundleDirectory, listBundles, type Bundle } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";
import { listKeys } from "@unseen/client/keyring.ts";
import { encoders } from "@unseen/core/blueprint/families/index.ts";
import type { Manifest } from "@unseen/core/blueprint/manifest.ts";
import type { EncryptedRow, KeyRow, Library, ModelRow, Worth } from "@unseen/web/protocol/library.ts";
import { BUNDLED_MODEL, BUNDLED_PICTURE_MODEL } from "../../bundled-models.ts";
import { readFidelity } from "../../fidelity-record.ts";
import { sharesDirectory } from "../../shares/connect-shares.ts";
import { ownVerdict, worthOf } from "../../worth.ts";
import { findModels, type FoundModel } from "./find-models.ts";
import { findSplits } from "./find-splits.ts";
import { natureOf, type ModelNature } from "./manifest-at.ts";

/** Files whose nature is remembered (CWE-770). */
const MAXIMUM_REMEMBERED = 2000;

/** Reads the library; remembers of large files what they said, as long as they do not change. */
export class LibraryReader {
  readonly #home: Home;
  readonly #natures = new Map<string, { readonly mark: string; readonly nature: ModelNature }>();

  constructor(home: Home) {
    this.#home = home;
  }

  /** Everything, read just now. Throws `PERMISSION_DENIED`. */
  async read(): Promise<Library> {
    const home = this.#home;
    const bundles = await listBundles(home);
    const keys = await this.keys(bundles);
    const found = await findModels(home);
    const plain: ModelRow[] = [];
    const encrypted: EncryptedRow[] = [];
    for (const model of found) {
      const nature = await this.#natureOf(model);
      if (nature.manifest) encrypted.push(await this.#encryptedRow(model, nature.manifest, bundles, keys));
      else plain.push({ ...model, family: nature.family, bundled: false });
    }
    return { keys, plain: [...(await bundledModels()), ...plain], encrypted, splits: await findSplits(home, bundles), home: home.root };
  }

  /** The keyring's keys. Throws `PERMISSION_DENIED`. */
  async keys(bundles?: readonly Bundle[]): Promise<KeyRow[]> {
    const known = bundles ?? (await listBundles(this.#home));
    return (await listKeys(this.#home)).map(({ id, name, created, protection }) => ({
      id: id ?? "",
      name,
      created,
      protection,
      models: [...new Set(known.filter(({ keyId }) => keyId === id).map((bundle) => bundle.name))],
    }));
  }

  /** What the protection of a model was measured to be worth; null where the keyring has no bundle of it. */
  async worth(fingerprint: string): Promise<Worth | null> {
    const bundle = (await listBundles(this.#home)).find((candidate) => candidate.fingerprint === fingerprint);
    return bundle ? this.#worth(bundle) : null;
  }

  async #encryptedRow(
    { path, name, bytes }: FoundModel,
    manifest: Manifest,
    bundles: readonly Bundle[],
    keys: readonly KeyRow[],
  ): Promise<EncryptedRow> {
    const { fingerprint, family, strength } = manifest;
    const bundle = bundles.find((candidate) => candidate.fingerprint === fingerprint);
    return {
      name: bundle?.name ?? name,
      path,
      bytes,
      fingerprint,
      family,
      strength,
      created: bundle?.created ?? null,
      key: bundle ? (keys.find(({ id }) => id === bundle.keyId)?.name ?? null) : null,
      shared: existsSync(sharesDirectory(this.#home, fingerprint)),
      worth: await this.#worth(bundle ?? manifest),
      fidelity: await readFidelity(this.#home, fingerprint),
    };
  }

  async #worth(model: Pick<Manifest, "fingerprint" | "strength" | "family" | "vocabularySize">): Promise<Worth> {
    const { fingerprint, family, vocabularySize } = model;
    const isEncoder =
      family === "onnx" ||
      encoders.some(({ types }) => types.includes(family)) ||
      existsSync(join(bundleDirectory(this.#home, fingerprint), "interface.json"));
    const lines = await worthOf(this.#home, model, vocabularySize === 0 ? null : isEncoder ? "encoder" : "decoder");
    return { lines, own: (await ownVerdict(this.#home, fingerprint)) !== null };
  }

  /** What cannot be read is no encrypted model for this listing; a command on it says what is wrong. */
  async #natureOf({ path }: FoundModel): Promise<ModelNature> {
    const unknown: ModelNature = { manifest: null, family: null };
    const information = await lstat(path).catch(() => null);
    if (!information?.isFile()) return natureOf(path).catch(() => unknown);
    const mark = `${information.mtimeMs} ${information.size}`;
    const known = this.#natures.get(path);
    if (known?.mark === mark) return known.nature;
    const nature = await natureOf(path).catch(() => unknown);
    if (this.#natures.size >= MAXIMUM_REMEMBERED) this.#natures.clear();
    this.#natures.set(path, { mark, nature });
    return nature;
  }
}

/** Models that come with the package. */
async function bundledModels(): Promise<ModelRow[]> {
  const [chat, picture] = [BUNDLED_MODEL, BUNDLED_PICTURE_MODEL];
  return [
    {
      name: basename(chat),
      path: chat,
      bytes: await bytesOf(join(chat, "model.safetensors")),
      family: (await natureOf(chat)).family,
      bundled: true,
    },
    {
      name: basename(dirname(picture)),
      path: picture,
      bytes: await bytesOf(picture),
      family: (await natureOf(dirname(picture))).family,
      bundled: true,
    },
  ];
}

async function bytesOf(path: string): Promise<number> {
  return (await lstat(path)).size;
}
