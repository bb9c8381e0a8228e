/**
 * From a bundle and its key to an encoder that a gateway or a command can use.
 * @module
 */
import { join } from "node:path";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { bundleDirectory, loadBundleTokenizer, type Bundle } from "../bundle.ts";
import type { HostAddress } from "../engines/model-list.ts";
import type { EncoderModel } from "../gateway/model.ts";
import type { Home } from "../home.ts";
import { Stem } from "../stem/stem.ts";
import { BlindEncoder } from "./blind-encoder.ts";
import { EncoderHost, type EncoderEngine } from "./encoder-host.ts";

/**
 * @param ends - As `loadBundleInterface` gives them.
 * @param secret - The key that the bundle names.
 * @throws UnseenError BUNDLE_INVALID
 */
export async function openEncoder(
  home: Home,
  bundle: Bundle,
  ends: ClientInterface,
  secret: Uint8Array,
  hosts: readonly HostAddress[],
): Promise<EncoderModel> {
  const engines = hosts.map((host) => new EncoderHost(host));
  return openEncoderOn(home, bundle, ends, secret, engines);
}

/** The same on engines of any kind. @throws UnseenError BUNDLE_INVALID */
export async function openEncoderOn(
  home: Home,
  bundle: Bundle,
  ends: ClientInterface,
  secret: Uint8Array,
  engines: readonly EncoderEngine[],
): Promise<EncoderModel> {
  const { name, fingerprint, vocabularySize } = bundle;
  const tokenizer = await loadBundleTokenizer(home, bundle);
  const stem = ends.stem && new Stem(join(bundleDirectory(home, fingerprint), ends.stem.file));
  const encoder = new BlindEncoder({ identity: { name, fingerprint, vocabularySize }, ends, tokenizer, secret, engines, stem });
  return {
    id: name,
    bundle,
    tokenizer,
    engines,
    encoder,
    get contextLength() {
      return encoder.maximumLength;
    },
  };
}
