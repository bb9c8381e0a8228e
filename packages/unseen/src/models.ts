/**
 * From bundles, keys and host addresses to models that a gateway or a chat can use.
 * @module
 */
import { listBundles, loadBundle, loadBundleTokenizer, type Bundle } from "@unseen/client/bundle.ts";
import type { GatewayModel } from "@unseen/client/gateway/model.ts";
import { VllmEngine } from "@unseen/client/engines/vllm.ts";
import type { Engine, HostModel } from "@unseen/client/engines/engine.ts";
import type { Home } from "@unseen/client/home.ts";
import { TokenCipher } from "@unseen/client/token-cipher.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { wholeNumber, type OptionSpecification } from "./command.ts";
import { openKey } from "./keys.ts";

const DEFAULT_HOST = "http://127.0.0.1:8801";

export const hostOptions: readonly OptionSpecification[] = [
  { flags: "--model <name>", description: "name or fingerprint of the model (default: what the hosts serve)", repeated: true },
  {
    flags: "--host <url>",
    description: `address of a host; several share the work and stand in for each other (default: ${DEFAULT_HOST})`,
    repeated: true,
  },
  { flags: "--host-api-key <key>", description: "API key that the hosts ask for" },
  {
    flags: "--timeout <seconds>",
    description: "give a host up after this much silence",
    env: "UNSEEN_HOST_TIMEOUT",
    parse: wholeNumber(1, 86_400),
  },
];

export interface HostFlags {
  readonly model?: readonly string[];
  readonly host?: readonly string[];
  readonly hostApiKey?: string;
  readonly timeout?: number;
}

/**
 * Asks the hosts what they serve and pairs each model with its bundle by fingerprint. A host that does not
 * say its fingerprint (a stock engine) is paired with the one `--model` that was named.
 *
 * @throws UnseenError `HOST_*`, `BUNDLE_NOT_FOUND`, `BUNDLE_MISMATCH`, `KEY_*`
 */
export async function connectModels(home: Home, flags: HostFlags): Promise<GatewayModel[]> {
  const urls = flags.host ?? [DEFAULT_HOST];
  const silence = flags.timeout ? { silence: flags.timeout * 1000 } : {};
  const engines = urls.map((url) => new VllmEngine({ url, ...silence, ...(flags.hostApiKey ? { apiKey: flags.hostApiKey } : {}) }));
  const wanted = flags.model ? await Promise.all(flags.model.map((name) => loadBundle(home, name))) : null;
  const paired = new Map<string, { bundle: Bundle; engines: Engine[] }>();
  const failures: unknown[] = [];
  for (const engine of engines) {
    try {
      const facts = await engine.probe();
      const bundles = await Promise.all(facts.models.map((model) => bundleFor(home, model, wanted, engine.url)));
      for (const bundle of bundles) {
        if (!bundle) continue;
        const entry = paired.get(bundle.fingerprint) ?? { bundle, engines: [] };
        entry.engines.push(engine);
        paired.set(bundle.fingerprint, entry);
      }
    } catch (error) {
      failures.push(error);
    }
  }
  // With one reachable host there is work to do; the others join when they answer again.
  if (paired.size === 0)
    throw (
      failures[0] ??
      new UnseenError("MODEL_NOT_FOUND", `no host at ${urls.join(", ")} serves the model.`, {
        hint: "Start one with `unseen serve DIRECTORY`.",
      })
    );
  for (const entry of wanted?.length === 1 ? paired.values() : []) {
    for (const engine of engines) if (!entry.engines.includes(engine)) entry.engines.push(engine);
  }
  return Promise.all([...paired.values()].map((entry) => openModelFor(home, entry.bundle, entry.engines)));
}

/** A model without a host, for encoding and decoding. Throws `KEY_*`, `BUNDLE_*`. */
export async function openModelFor(home: Home, bundle: Bundle, engines: readonly Engine[] = []): Promise<GatewayModel> {
  const key = await openKey(bundle.keyId, home);
  return {
    id: bundle.name,
    bundle,
    tokenizer: await loadBundleTokenizer(home, bundle),
    cipher: new TokenCipher(vocabularyPermutation(key.secret, bundle.vocabularySize)),
    engines,
  };
}

async function bundleFor(home: Home, model: HostModel, wanted: readonly Bundle[] | null, url: string): Promise<Bundle | null> {
  if (model.fingerprint === undefined) {
    if (wanted?.length === 1) return wanted[0] as Bundle;
    throw new UnseenError("BUNDLE_NOT_FOUND", `the host ${url} does not say which encrypted model it serves.`, {
      hint: "Name it with --model NAME.",
    });
  }
  if (wanted) {
    const match = wanted.find((bundle) => bundle.fingerprint === model.fingerprint);
    if (match) return match;
    throw new UnseenError(
      "BUNDLE_MISMATCH",
      `the host ${url} serves ${model.fingerprint}, not ${wanted.map((bundle) => `${bundle.name} (${bundle.fingerprint})`).join(" or ")}.`,
      {
        hint: "Serve the directory that was encrypted with this bundle, or choose another --model.",
      },
    );
  }
  const known = (await listBundles(home)).find((bundle) => bundle.fingerprint === model.fingerprint);
  if (known) return known;
  throw new UnseenError("BUNDLE_NOT_FOUND", `the host ${url} serves ${model.fingerprint}, for which the keyring has no bundle.`, {
    hint: "Encrypt the model on this machine, or copy its bundle into UNSEEN_HOME/bundles.",
  });
}
