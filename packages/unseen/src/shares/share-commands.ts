/**
 * The work of `unseen share` and `unseen shares`. Loaded when one of them runs.
 * @module
 */
import { randomBytes } from "node:crypto";
import { chmod, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { loadBundle, type Bundle } from "@unseen/client/bundle.ts";
import { ensureDirectory } from "@unseen/client/atomic-file.ts";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { lockDirectory, type ProcessLock } from "@unseen/core/process-lock.ts";
import { makeProjection } from "@unseen/shares/client/integrity.ts";
import { prepareShares } from "@unseen/shares/prepare/prepare-shares.ts";
import { startShareServer } from "@unseen/shares/server/serve.ts";
import { bundleModel, nameOf } from "../bundle-model.ts";
import type { ShareFlags, ShareServeFlags } from "../commands/shares.ts";
import { openOrMakeKey } from "../keys.ts";
import { readText } from "../private/read-file.ts";
import { closeOnSignal, interruptible } from "../private/until-signal.ts";
import type { Terminal } from "../terminal.ts";
import { sharesDirectory } from "./connect-shares.ts";

/** `unseen share` */
export async function shareModel(path: string, options: ShareFlags, terminal: Terminal): Promise<object> {
  return interruptible("What was made so far was removed.", (signal) => split(path, options, terminal, signal));
}

async function split(path: string, options: ShareFlags, terminal: Terminal, signal: AbortSignal): Promise<object> {
  const [outA, outB, ...more] = options.out ?? [];
  if (outA === undefined || outB === undefined || more.length > 0)
    throw new UnseenError("USAGE", `--out takes two directories, got ${options.out?.length ?? 0}.`, {
      hint: "One for each server: --out A B.",
    });
  const home = resolveHome();
  const lock = await startSplitting(home);
  const { source, bundle, remove } = await encrypted(resolve(path), options, home, terminal, signal).catch((error: unknown) => {
    lock.release();
    throw error;
  });
  const client = sharesDirectory(home, bundle.fingerprint);
  const fresh = join(home.root, "shares", `${UNFINISHED}${bundle.fingerprint}`);
  try {
    signal.throwIfAborted();
    const { layout, serverBytes, clientBytes } = prepareShares({
      model: await openModel(source),
      bits: options.bits === "16" ? 16 : 8,
      outA,
      outB,
      client: fresh,
      fingerprint: bundle.fingerprint,
      project: (weights, out, inward) => makeProjection(weights, out, inward, (bytes) => bytes.set(randomBytes(bytes.length))),
      log: (line) => terminal.note(line),
    });
    signal.throwIfAborted();
    // What was split before is replaced once the new is whole.
    for (const name of await readdir(fresh)) await chmod(join(fresh, name), 0o600);
    await rm(client, { recursive: true, force: true });
    await rename(fresh, client);
    const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
    terminal.print(
      `Servers  ${outA} and ${outB}, ${megabytes(serverBytes)} each, ${layout.groups.length} groups of layers, ${options.bits} bits a weight`,
    );
    terminal.print(`Client   ${client} (${megabytes(clientBytes)}; secret, it stays here)`);
    terminal.print("Next:    unseen shares serve DIRECTORY, at two operators; then unseen gateway --shares URL_A URL_B");
    return { fingerprint: bundle.fingerprint, name: bundle.name, servers: [outA, outB], client, serverBytes, clientBytes };
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await remove();
    lock.release();
  }
}

/** What a directory that is not whole yet begins with. */
const UNFINISHED = ".unfinished-";

/** One at a time; so what another one left unfinished, secret numbers among it, was left by a process that was killed, and goes. */
async function startSplitting(home: Home): Promise<ProcessLock> {
  const directory = join(home.root, "shares");
  await ensureDirectory(directory);
  await ensureDirectory(home.cache);
  const lock = lockDirectory(directory, {
    name: "share",
    refuse: (other, cause) =>
      new UnseenError("CONFLICT", `another \`unseen share\` (process ${other}) splits a model in this home.`, {
        hint: "Wait for its end.",
        cause,
      }),
  });
  for (const place of [directory, home.cache])
    for (const name of await readdir(place)) if (name.startsWith(UNFINISHED)) await rm(join(place, name), { recursive: true, force: true });
  return lock;
}

/** The encrypted model to split, with its bundle: the one that is given, or one made from a plain one. */
async function encrypted(
  path: string,
  options: ShareFlags,
  home: Home,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<{ source: string; bundle: Bundle; remove: () => Promise<void> }> {
  const { manifest } = await openModel(path);
  if (manifest) return { source: path, bundle: await loadBundle(home, manifest.fingerprint), remove: async () => {} };
  const { key, made } = await openOrMakeKey(options.key, home);
  if (made) terminal.note(`Made the key ${key.name} (${key.id}). Back it up: unseen key export ${key.name} FILE`);
  const output = join(home.cache, `${UNFINISHED}share`);
  let bundle: Bundle | undefined;
  await encryptModel({
    source: path,
    output,
    key: { secret: key.secret, strength: "rotate" },
    // Rounded once, to whole numbers, and not to the stored format before.
    precision: "f32",
    signal,
    beforeCommit: async (result) => {
      ({ bundle } = await bundleModel(home, {
        source: path,
        result,
        key,
        name: options.name ?? nameOf(path),
        tokenizer: options.tokenizer,
      }));
    },
  });
  if (!bundle) throw new UnseenError("INTERNAL", "the model was committed without its bundle.");
  return { source: output, bundle, remove: () => rm(output, { recursive: true, force: true }) };
}

/** `unseen shares serve` */
export async function serveShares(directory: string, options: ShareServeFlags, terminal: Terminal): Promise<void> {
  const { tlsCertificate, tlsKey } = options;
  if ((tlsCertificate === undefined) !== (tlsKey === undefined))
    throw new UnseenError("USAGE", "TLS needs both --tls-certificate and --tls-key.", {
      hint: "Give both, or neither behind a proxy that does TLS.",
    });
  const tls =
    tlsCertificate !== undefined && tlsKey !== undefined
      ? { cert: await readText(tlsCertificate), key: await readText(tlsKey) }
      : undefined;
  const server = await startShareServer({
    directory,
    port: Number(options.port),
    hostname: options.hostname,
    ...(tls ? { tls } : {}),
    log: terminal.note,
  });
  terminal.print(`Multiplies shares for ${server.layout.fingerprint} at ${server.url}.`);
  terminal.result({ url: server.url, fingerprint: server.layout.fingerprint });
  await closeOnSignal(server.close);
}

export { benchShares } from "./bench-shares.ts";
