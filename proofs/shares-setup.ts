/**
 * Models on two servers, for the proofs: encrypted, split, and served by processes of their own.
 * @module
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { ProjectionFile } from "@unseen/shares/client/projection-file.ts";
import { RemoteMultiplier } from "@unseen/shares/client/remote-multiplier.ts";
import { CLIENT_FILES } from "@unseen/shares/model/client-model.ts";
import { LocalMultiplier } from "@unseen/shares/model/local-multiplier.ts";
import { prepareShares, type PreparedShares } from "@unseen/shares/prepare/prepare-shares.ts";
import { startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "../tests/command-line.ts";
import { sharedPath } from "../tests/shared.ts";

export interface SharedModel extends PreparedShares {
  readonly name: string;
  /** The float model that was split. */
  readonly model: Model;
  /** The 32 bytes that it was encrypted under. */
  readonly secret: Uint8Array;
  readonly client: string;
  readonly directories: readonly [string, string];
}

/** The decoders that are here. */
export function decoders(): { name: string; path: string }[] {
  const stories = sharedPath("data/models/stories260K-hf");
  return [{ name: "story-llama", path: STORY_LLAMA }, ...(stories && existsSync(stories) ? [{ name: "stories260K", path: stories }] : [])];
}

// Each server's process is ended when this one ends.
process.setMaxListeners(50);

/** Encrypts with `rotate`, unless told not to, and splits. */
export async function splitModel(name: string, path: string, bits: 8 | 16, { encrypted = true } = {}): Promise<SharedModel> {
  const directory = temporaryDirectory("proof-shares");
  const at = (part: string): string => join(directory, part);
  const secret = new Uint8Array(randomBytes(32));
  if (encrypted) await encryptModel({ source: path, output: at("encrypted"), key: { secret, strength: "rotate" }, precision: "f32" });
  const model = await openModel(encrypted ? at("encrypted") : path);
  const directories: [string, string] = [at("a"), at("b")];
  const prepared = prepareShares({ model, bits, outA: directories[0], outB: directories[1], client: at("client"), fingerprint: name });
  return { name, model, secret, client: at("client"), directories, ...prepared };
}

/** Two servers of a model. */
export interface SharePair {
  readonly urls: readonly [string, string];
  readonly servers: readonly [RunningServer, RunningServer];
  stop(): Promise<void>;
}

export async function serveBoth({ directories }: SharedModel, ports: readonly [number, number] = [0, 0]): Promise<SharePair> {
  const home = temporaryDirectory("proof-shares-home");
  const servers = (await Promise.all(
    directories.map((directory, index) => startServer(["shares", "serve", directory, "--port", String(ports[index])], { home })),
  )) as [RunningServer, RunningServer];
  return {
    servers,
    urls: [servers[0].url, servers[1].url],
    async stop() {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** A client's multiplier over two servers. */
export async function connectTo(
  { layout, limits, client }: SharedModel,
  [urlA, urlB]: readonly [string, string],
): Promise<RemoteMultiplier> {
  const checks = await ProjectionFile.read(join(client, CLIENT_FILES.checks), layout);
  return RemoteMultiplier.connect({ urlA, urlB, layout, limits, checks, allowSameOperator: true });
}

/** The reference on this machine. */
export function localOf({ directories }: SharedModel): Promise<LocalMultiplier> {
  return LocalMultiplier.open(directories[0]);
}
