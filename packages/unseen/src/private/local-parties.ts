/**
 * Hub, enclave and creator on this machine, each a process of its own, for trying things out: the enclave is a simulator.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Policy } from "@unseen/attest/policy.ts";
import { simulatorPolicy } from "@unseen/attest/simulator/simulator-source.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { createAccount } from "@unseen/hub/api/jobs.ts";
import { CreatorStore } from "@unseen/hub/creator/creator-store.ts";
import { publishModel, type Publication } from "@unseen/hub/creator/publish.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/unseen.js", import.meta.url));
const START_TIMEOUT = 60_000; // ms

/** Running parties. */
export interface LocalParties {
  readonly directory: string;
  /** The user's connection. */
  readonly hub: HubClient;
  readonly policy: Policy;
  readonly version: string;
  /** Process ids, by party. */
  readonly processes: Readonly<Record<"hub" | "enclave" | "creator", number>>;
  /** Ends them and removes their directory. */
  close(): Promise<void>;
}

/** Starts the three others and publishes a model. @throws UnseenError JOB_FAILED with what a party said when it did not start */
export async function startLocalParties(file: Uint8Array, publication: Publication): Promise<LocalParties> {
  const directory = await mkdtemp(join(tmpdir(), "unseen-private-run-"));
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(children.map(end));
    await rm(directory, { recursive: true, force: true });
  };
  const start = async (parameters: readonly string[], environment: Record<string, string> = {}) => {
    const { child, facts } = startParty(parameters, environment);
    children.push(child);
    return { child, facts: await facts };
  };
  try {
    const attestDirectory = join(directory, "simulator");
    const policy = await simulatorPolicy(attestDirectory);
    const policyFile = join(directory, "policy.json");
    await writeFile(policyFile, JSON.stringify(policy));

    const hub = await start(["hub", "serve", "--port", "0", "--directory", join(directory, "hub")]);
    const url = String(hub.facts["url"]);
    const admin = new HubClient(url, (await readFile(String(hub.facts["adminKeyFile"]), "utf8")).trim());
    const [user, creatorAccount, enclaveAccount] = await Promise.all(
      (["user", "creator", "enclave"] as const).map((role) => createAccount(admin, { name: `local-${role}`, role })),
    );
    const creatorDirectory = join(directory, "creator");
    const store = await CreatorStore.open(creatorDirectory);
    const { version } = await publishModel(file, publication, { hub: new HubClient(url, creatorAccount!), store });

    const [enclave, creator] = await Promise.all([
      start(
        [
          "enclave",
          "serve",
          "--hub",
          url,
          "--attest",
          "simulator",
          "--attest-directory",
          attestDirectory,
          "--budget",
          String(publication.budget),
        ],
        {
          UNSEEN_HUB_KEY: enclaveAccount!,
        },
      ),
      start(["creator", "serve", "--hub", url, "--directory", creatorDirectory, "--require-attestation", policyFile], {
        UNSEEN_HUB_KEY: creatorAccount!,
      }),
    ]);
    return {
      directory,
      hub: new HubClient(url, user!),
      policy,
      version,
      processes: { hub: hub.child.pid!, enclave: enclave.child.pid!, creator: creator.child.pid! },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A party's process, and the object that it prints when it is ready. */
function startParty(
  parameters: readonly string[],
  environment: Record<string, string>,
): { child: ChildProcess; facts: Promise<Record<string, unknown>> } {
  // Nothing of this user's settings reaches the parties.
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, [PROGRAM, ...parameters, "--json"], {
    env: { PATH, HOME, ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => void (stderr = (stderr + text).slice(-4000)));
  const failed = (): UnseenError => {
    const line = stderr.trim().split("\n").at(-1) ?? "";
    return new UnseenError("JOB_FAILED", `\`unseen ${parameters.slice(0, 2).join(" ")}\` did not start: ${line || "it said nothing"}`, {
      hint: "Start it by itself to see more.",
    });
  };
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    let stdout = "";
    const timer = setTimeout(() => reject(failed()), START_TIMEOUT);
    child.once("error", () => reject(failed()));
    child.once("close", () => {
      clearTimeout(timer);
      reject(failed());
    });
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      const [first, rest] = stdout.split("\n", 2);
      if (rest === undefined) return;
      clearTimeout(timer);
      resolve(JSON.parse(first!) as Record<string, unknown>);
    });
  });
  ready.catch(() => {});
  return { child, facts: ready };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await closed;
  clearTimeout(timer);
}
