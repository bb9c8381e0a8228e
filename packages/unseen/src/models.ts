/**
 * From bundles, keys and host addresses to models that a gateway or a chat can use.
 * @module
 */
import type { Policy } from "@unseen/attest/policy.ts";
import { readPolicy } from "@unseen/attest/read-policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { listBundles, loadBundle, loadBundleInterface, loadBundleTokenizer, type Bundle } from "@unseen/client/bundle.ts";
import { openEncoder } from "@unseen/client/encoders/open-encoder.ts";
import { permutationOf } from "@unseen/client/encoders/sequences.ts";
import { hostRoot, type HostAddress } from "@unseen/client/engines/model-list.ts";
import { HostAttestation } from "@unseen/client/engines/attested-connection.ts";
import type { EncoderModel, GatewayModel } from "@unseen/client/gateway/model.ts";
import { VllmEngine } from "@unseen/client/engines/vllm.ts";
import type { Engine, HostFacts, HostModel } from "@unseen/client/engines/engine.ts";
import type { Home } from "@unseen/client/home.ts";
import type { Key } from "@unseen/client/keyring.ts";
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
  { flags: "--require-attestation <file>", description: "send nothing to a host before its evidence satisfies this policy" },
];

/** Of commands that continue text: two servers instead of hosts. */
export const sharesOptions: readonly OptionSpecification[] = [
  { flags: "--shares <urls...>", description: "two servers that multiply shares, instead of a host; see `unseen share`", repeated: true },
  { flags: "--allow-same-operator", description: "with --shares: both servers may be at one address, which then sees what EE alone hides" },
];

export interface HostFlags {
  /** Key of the models; each bundle names its own where absent. */
  readonly key?: string;
  readonly model?: readonly string[];
  readonly host?: readonly string[];
  readonly hostApiKey?: string;
  readonly timeout?: number;
  readonly requireAttestation?: string;
  readonly shares?: readonly string[];
  readonly allowSameOperator?: boolean;
}

/**
 * Asks the hosts what they serve and pairs each model with its bundle by fingerprint. A host that does not
 * say its fingerprint (a stock engine) is paired with the one `--model` that was named.
 *
 * @param note Gets a line for each verdict on a host's evidence.
 * @throws UnseenError `HOST_*`, `ATTESTATION_*`, `BUNDLE_NOT_FOUND`, `BUNDLE_MISMATCH`, `KEY_*`; `USAGE` for a policy that cannot be read
 */
export async function connectModels(home: Home, flags: HostFlags, note: (line: string) => void): Promise<(GatewayModel | EncoderModel)[]> {
  if (flags.shares) {
    if (flags.host) throw new UnseenError("USAGE", "--shares and --host exclude each other.", { hint: "Give one of them." });
    if (flags.requireAttestation)
      throw new UnseenError("USAGE", "servers of shares give no evidence.", {
        hint: "Leave out --require-attestation: neither server learns anything alone.",
      });
    // Loaded here, because other models do without the forward pass.
    return [await (await import("./shares/connect-shares.ts")).connectShares(home, { ...flags, shares: flags.shares }, note)];
  }
  const urls = flags.host ?? [DEFAULT_HOST];
  const policy = flags.requireAttestation === undefined ? null : await readPolicy(flags.requireAttestation);
  if (policy?.mode === "simulator") note(SIMULATOR_WARNING);
  const settings = { apiKey: flags.hostApiKey, silence: flags.timeout && flags.timeout * 1000, policy, note };
  const hosts = urls.map((url) => openHost(url, settings));
  const wanted = flags.model ? await Promise.all(flags.model.map((name) => loadBundle(home, name))) : null;
  const paired = new Map<string, { bundle: Bundle; hosts: Host[] }>();
  const failures: unknown[] = [];
  for (const host of hosts) {
    try {
      for (const bundle of await bundlesOf(home, host.engine.url, await host.engine.probe(), wanted)) {
        const entry = paired.get(bundle.fingerprint) ?? { bundle, hosts: [] };
        entry.hosts.push(host);
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
    for (const host of hosts) if (!entry.hosts.includes(host)) entry.hosts.push(host);
  }
  return Promise.all([...paired.values()].map((entry) => openOn(home, entry.bundle, entry.hosts, { name: flags.key })));
}

/** A host that may serve several models. */
export interface Host {
  readonly address: HostAddress;
  readonly engine: Engine;
}

export interface HostSettings {
  readonly apiKey?: string | undefined;
  /** Milliseconds without a byte before the host counts as hung. */
  readonly silence?: number | undefined;
  /** What the host must prove before it is sent anything. */
  readonly policy?: Policy | null | undefined;
  /** Gets a line for each verdict on the host's evidence. */
  readonly note: (line: string) => void;
}

/** Asks nothing yet. @throws UnseenError USAGE for an address with credentials, or without https where evidence is demanded */
export function openHost(url: string, { apiKey, silence, policy, note }: HostSettings): Host {
  const address: HostAddress = {
    url,
    ...(silence ? { silence } : {}),
    ...(apiKey ? { apiKey } : {}),
    ...(policy ? { attestation: new HostAttestation(hostRoot(url), policy, { log: note }) } : {}),
  };
  return { address, engine: new VllmEngine(address) };
}

/**
 * The keyring's bundles of all models that a host serves.
 *
 * @param url of the host, for messages
 * @param wanted what may be served there; null: whatever has a bundle
 * @throws UnseenError `BUNDLE_NOT_FOUND`, `BUNDLE_MISMATCH`
 */
export async function bundlesOf(home: Home, url: string, facts: HostFacts, wanted: readonly Bundle[] | null): Promise<Bundle[]> {
  // Read once, however long the host's list is.
  const known = wanted ?? (await listBundles(home));
  return [...new Set(facts.models.map((model) => bundleFor(model, known, wanted, url)))];
}

/** Which key to open, by default the bundle's, and how. */
export interface KeyChoice {
  readonly name?: string | undefined;
  readonly open?: KeyOpener | undefined;
}

/** A model on its hosts: an encoder where the bundle says how to use its ends. @throws UnseenError `KEY_*`, `BUNDLE_*`, `REQUEST_UNSUPPORTED` */
export async function openOn(
  home: Home,
  bundle: Bundle,
  hosts: readonly Host[],
  { name, open }: KeyChoice = {},
): Promise<GatewayModel | EncoderModel> {
  const ends = await loadBundleInterface(home, bundle);
  const engines = hosts.map((host) => host.engine);
  if (!ends) return openModelFor(home, bundle, engines, open);
  if (bundle.family !== "onnx")
    throw new UnseenError("REQUEST_UNSUPPORTED", `model ${bundle.name} is a directory of ${bundle.family} weights, which no host serves.`, {
      hint: "Encrypt its ONNX export for serving, or load it with transformers between `unseen encipher` and `unseen decipher`.",
    });
  const key = await openKeyOf(bundle, home, name, open);
  return openEncoder(
    home,
    bundle,
    ends,
    key.secret,
    hosts.map((host) => host.address),
  );
}

/** Opens a key by name or id; on the command line it may ask for a passphrase. */
export type KeyOpener = (name: string, home: Home) => Promise<Key>;

/** The key that a bundle's model was encrypted under. Throws `KEY_*`; `KEY_WRONG` where another is named. */
export async function openKeyOf(bundle: Bundle, home: Home, name = bundle.keyId, open: KeyOpener = openKey): Promise<Key> {
  const key = await open(name, home);
  if (key.id === bundle.keyId) return key;
  throw new UnseenError("KEY_WRONG", `model ${bundle.name} was encrypted under the key ${bundle.keyId}, not ${key.id}.`, {
    hint: "Leave out --key, or name that key.",
  });
}

/** A model without a host, for encoding and decoding. Throws `KEY_*`, `BUNDLE_*`. */
export async function openModelFor(
  home: Home,
  bundle: Bundle,
  engines: readonly Engine[] = [],
  open: KeyOpener = openKey,
): Promise<GatewayModel> {
  const key = await openKeyOf(bundle, home, bundle.keyId, open);
  const ends = await loadBundleInterface(home, bundle);
  // Ids that keep their number have a permutation of another name.
  const ids = ends?.inputs.find((input) => input.kind === "ids");
  return {
    id: bundle.name,
    bundle,
    tokenizer: await loadBundleTokenizer(home, bundle),
    cipher: new TokenCipher(ids ? permutationOf(key.secret, ids) : vocabularyPermutation(key.secret, bundle.vocabularySize)),
    engines,
  };
}

function bundleFor(model: HostModel, known: readonly Bundle[], wanted: readonly Bundle[] | null, url: string): Bundle {
  if (model.fingerprint === undefined) {
    if (wanted?.length === 1) return wanted[0] as Bundle;
    throw new UnseenError("BUNDLE_NOT_FOUND", `the host ${url} does not say which encrypted model it serves.`, {
      hint: "Name it with --model NAME.",
    });
  }
  const match = known.find((bundle) => bundle.fingerprint === model.fingerprint);
  if (match) return match;
  // A stranger's words do not belong into a message (CWE-117).
  const stated = /^[0-9a-f]{1,64}$/.test(model.fingerprint) ? model.fingerprint : "something without a fingerprint";
  if (wanted)
    throw new UnseenError(
      "BUNDLE_MISMATCH",
      `the host ${url} serves ${stated}, not ${wanted.map((bundle) => `${bundle.name} (${bundle.fingerprint})`).join(" or ")}.`,
      {
        hint: "Serve the directory that was encrypted with this bundle, or choose another --model.",
      },
    );
  throw new UnseenError("BUNDLE_NOT_FOUND", `the host ${url} serves ${stated}, for which the keyring has no bundle.`, {
    hint: "Encrypt the model on this machine, or copy its bundle into UNSEEN_HOME/bundles.",
  });
}
