/**
 * A model on two servers as a model that the gateway offers.
 * @module
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { listBundles, loadBundle, loadBundleInterface, type Bundle } from "@unseen/client/bundle.ts";
import { openEncoderOn } from "@unseen/client/encoders/open-encoder.ts";
import type { EncoderModel, GatewayModel } from "@unseen/client/gateway/model.ts";
import type { Home } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { areOneMachine, serverUrl } from "@unseen/shares/client/operators.ts";
import { ProjectionFile } from "@unseen/shares/client/projection-file.ts";
import { RemoteMultiplier } from "@unseen/shares/client/remote-multiplier.ts";
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import { CLIENT_FILES, ClientModel } from "@unseen/shares/model/client-model.ts";
import { ShareEncoder } from "@unseen/shares/model/encoder.ts";
import { openKey } from "../keys.ts";
import { openKeyOf, openModelFor, type KeyOpener } from "../models.ts";
import { ShareEncoderEngine } from "./share-encoder-engine.ts";
import { SharePair } from "./share-pair.ts";
import { SharesEngine } from "./shares-engine.ts";

export interface SharesFlags {
  readonly model?: readonly string[];
  readonly shares: readonly string[];
  readonly allowSameOperator?: boolean;
}

/** Where the client's part of shared models lies, by fingerprint. */
export function sharesDirectory(home: Home, fingerprint: string): string {
  return join(home.root, "shares", fingerprint);
}

/** @throws UnseenError USAGE for other than two servers, BUNDLE_NOT_FOUND, HOST_*, KEY_* */
export async function connectShares(
  home: Home,
  flags: SharesFlags,
  note: (line: string) => void,
  open: KeyOpener = openKey,
): Promise<GatewayModel | EncoderModel> {
  const [urlA, urlB, ...more] = flags.shares;
  if (urlA === undefined || urlB === undefined || more.length > 0)
    throw new UnseenError("USAGE", `--shares takes two addresses, got ${flags.shares.length}.`, {
      hint: "Give the two servers: --shares URL_A URL_B.",
    });
  const [a, b] = [serverUrl(urlA), serverUrl(urlB)];
  const bundle = await findShared(home, flags.model);
  const directory = sharesDirectory(home, bundle.fingerprint);
  const { layout, limits } = (await ClientModel.open(directory)).description;
  const checks = await ProjectionFile.read(join(directory, CLIENT_FILES.checks), layout);
  const sameOperator = flags.allowSameOperator === true;
  const multiplier = await RemoteMultiplier.connect({ urlA, urlB, layout, checks, limits, allowSameOperator: sameOperator, log: note });
  const { name, fingerprint, vocabularySize, contextLength } = bundle;
  const model = { id: name, fingerprint, vocabularySize, contextLength };
  try {
    const pair = new SharePair([a, b], multiplier, sameOperator && (await areOneMachine(a, b)));
    const ends = await loadBundleInterface(home, bundle);
    if (!ends) return await openModelFor(home, bundle, [new SharesEngine(pair, model, await ShareDecoder.open(directory))], open);
    const engine = new ShareEncoderEngine(pair, model, ends.pooling, await ShareEncoder.open(directory));
    return await openEncoderOn(home, bundle, ends, (await openKeyOf(bundle, home, bundle.keyId, open)).secret, [engine]);
  } catch (error) {
    multiplier.close();
    throw error;
  }
}

/** The one shared model of the keyring, or the one that is named. */
async function findShared(home: Home, wanted: readonly string[] | undefined): Promise<Bundle> {
  const shared = new Set(await readdir(join(home.root, "shares")).catch(() => []));
  const bundles = wanted ? await Promise.all(wanted.map((name) => loadBundle(home, name))) : await listBundles(home);
  const found = bundles.filter(({ fingerprint }) => shared.has(fingerprint));
  if (found.length === 1) return found[0]!;
  throw found.length === 0
    ? new UnseenError("BUNDLE_NOT_FOUND", "the keyring has no model that was split for two servers.", {
        hint: "Split one with `unseen share MODEL --out A B`.",
      })
    : new UnseenError("USAGE", `${found.length} models were split for two servers.`, {
        hint: `Name one: --model ${found.map(({ name }) => name).join(" or ")}.`,
      });
}
