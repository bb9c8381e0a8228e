/**
 * Hub, enclave and creator on this machine, each a process of its own, for trying things out: the enclave is a simulator.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Policy } from "@unseen/attest/policy.ts";
import { simulatorPolicy } from "@unseen/attest/simulator/simulator-source.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { createAccount } from "@unseen/hub/api/jobs.ts";
import { CreatorStore } from "@unseen/hub/creator/creator-store.ts";
import { publishModel, type Publication } from "@unseen/hub/creator/publish.ts";
import { endParty, startParty } from "../party.ts";

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

/** Starts the three others and publishes a model. @throws UnseenError JOB_FAILED with what a party said when it did not start; the signal's reason */
export async function startLocalParties(file: Uint8Array, publication: Publication, signal?: AbortSignal): Promise<LocalParties> {
  const directory = await mkdtemp(join(tmpdir(), "unseen-private-run-"));
  const children: ChildProcess[] = [];
  const starting = new Set<ChildProcess>();
  const close = async (): Promise<void> => {
    await Promise.all(children.map(endParty));
    await rm(directory, { recursive: true, force: true });
  };
  const start = async (parameters: readonly string[], environment: Record<string, string> = {}) => {
    signal?.throwIfAborted();
    const { child, facts } = startParty(parameters, environment);
    children.push(child);
    starting.add(child);
    return { child, facts: await facts.finally(() => starting.delete(child)) };
  };
  // A party that is still starting is not waited for; one that others talk to ends after them.
  const stop = (): void => starting.forEach((child) => void endParty(child));
  signal?.addEventListener("abort", stop, { once: true });
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
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
