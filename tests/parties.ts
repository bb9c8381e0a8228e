/**
 * The four parties of a private run as processes of their own, as their owners start them: hub, enclave, creator, and this process as the user.
 * @module
 */
import { freePort } from "./free-port.ts";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readPolicy } from "@unseen/attest/read-policy.ts";
import { defaultObfuscation } from "@unseen/fhe/obfuscation.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { PrivateSession, type PrivateSessionOptions } from "@unseen/hub/user/private-session.ts";
import { ask, startServer, temporaryDirectory, type RunningServer } from "./command-line.ts";

/** The chest X-ray network that comes with the repository. */
export const XRAY_MODEL = fileURLToPath(new URL("../packages/unseen/models/xray-cnn/model.onnx", import.meta.url));

export type PartyName = "hub" | "enclave" | "creator";

export interface PartiesOptions {
  readonly model?: string;
  /** Seconds after which a dead worker's job goes to another. */
  readonly lease?: number;
  readonly workers?: number;
  /** A PostgreSQL server instead of the embedded database. */
  readonly databaseUrl?: string;
}

/** Running parties. */
export interface Parties {
  readonly directory: string;
  /** Each party's own directory. */
  readonly homes: Readonly<Record<PartyName, string>>;
  readonly url: string;
  readonly apiKeys: Readonly<Record<"user" | "enclave" | "creator", string>>;
  readonly policyFile: string;
  readonly version: string;
  processOf(party: PartyName): number;
  stderrOf(party: PartyName): string;
  /** kill -9. */
  kill(party: PartyName): Promise<void>;
  /** Starts a party that was killed, as before. */
  restart(party: PartyName): Promise<void>;
  /** A user's session. */
  openSession(options?: Partial<PrivateSessionOptions>): Promise<PrivateSession>;
  stop(): Promise<void>;
}

/** Starts all of them and publishes the model as "xray". */
export async function startParties(options: PartiesOptions = {}): Promise<Parties> {
  const running = new Map<PartyName, RunningServer>();
  try {
    return await start(running, options);
  } catch (error) {
    for (const party of running.values()) party.child.kill("SIGKILL");
    throw error;
  }
}

async function start(
  running: Map<PartyName, RunningServer>,
  { model = XRAY_MODEL, lease = 30, workers = 1, databaseUrl }: PartiesOptions,
): Promise<Parties> {
  const directory = temporaryDirectory("parties");
  const at = (name: string): string => join(directory, name);
  const homes = { hub: at("hub"), enclave: at("enclave"), creator: at("creator") };
  const surroundings = { home: directory };
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const policyFile = at("policy.json");
  const environment: Record<string, Record<string, string>> = {
    hub: databaseUrl ? { DATABASE_URL: databaseUrl } : {},
    enclave: {},
    creator: {},
  };
  const commands: Record<PartyName, string[]> = {
    hub: ["hub", "serve", "--port", String(port), "--directory", homes.hub, "--lease", String(lease)],
    enclave: ["enclave", "serve", "--hub", url, "--attest", "simulator", "--attest-directory", homes.enclave, "--workers", String(workers)],
    creator: ["creator", "serve", "--hub", url, "--directory", homes.creator, "--require-attestation", policyFile],
  };
  const restart = async (party: PartyName): Promise<void> => {
    running.set(party, await startServer(commands[party], { ...surroundings, environment: environment[party]! }));
  };

  await restart("hub");
  const admin = `@${String(running.get("hub")!.facts["adminKeyFile"])}`;
  const account = async (name: string, role: string): Promise<string> =>
    (await ask<{ apiKey: string }>(["hub", "account", name, "--role", role, "--hub", url, "--hub-key", admin], surroundings)).apiKey;
  const [user, enclave, creator] = await Promise.all([
    account("patient", "user"),
    account("machine", "enclave"),
    account("hospital", "creator"),
  ]);
  environment["enclave"] = { UNSEEN_HUB_KEY: enclave };
  environment["creator"] = { UNSEEN_HUB_KEY: creator };
  await ask(["attest", "policy", "--attest", "simulator", "--attest-directory", homes.enclave, "--out", policyFile], surroundings);
  const { version } = await ask<{ version: string }>(
    ["hub", "publish", model, "--name", "xray", "--directory", homes.creator, "--hub", url, "--hub-key", creator],
    surroundings,
  );
  await Promise.all([restart("enclave"), restart("creator")]);

  return {
    directory,
    homes,
    url,
    apiKeys: { user, enclave, creator },
    policyFile,
    version,
    processOf: (party) => running.get(party)!.child.pid!,
    stderrOf: (party) => running.get(party)!.stderr(),
    async kill(party) {
      const { child, ended } = running.get(party)!;
      child.kill("SIGKILL");
      await ended;
    },
    restart,
    openSession: async (options = {}) =>
      PrivateSession.open({
        hub: new HubClient(url, user),
        model: "xray",
        version: null,
        cut: null,
        scheme: null,
        policy: await readPolicy(policyFile),
        obfuscation: defaultObfuscation,
        budget: 60,
        knownCreators: at("known-creators.json"),
        ...options,
      }),
    async stop() {
      await Promise.all([...running.values()].map((party) => party.stop()));
    },
  };
}
