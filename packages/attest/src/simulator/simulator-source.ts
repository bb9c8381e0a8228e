/**
 * The simulator as a source of quotes: for tests and demonstrations on machines without trusted hardware. It protects nothing.
 * @module
 */
import { createHash, hkdfSync } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import type { QuoteSource } from "../evidence.ts";
import type { Policy } from "../policy.ts";
import { type PlatformFaults, SIMULATED_REGISTERS, type SimulatedPlatform, makePlatform } from "./platform.ts";
import { openState } from "./state.ts";

/** What a simulated program measures as where none is said: SHA-256 in hexadecimal. */
export const SIMULATED_COMPOSE_HASH = createHash("sha256").update("unseen simulator").digest("hex");

/** A platform's statements are dated anew before they end. */
const REFRESH_MILLISECONDS = 24 * 60 * 60 * 1000;

/** One simulated platform and the program on it. */
export interface SimulatorOptions {
  /** Where root and secret are kept; made at first use, readable by its owner alone. */
  readonly directory: string;
  /** SHA-256 of the program's compose file, in hexadecimal. */
  readonly composeHash?: string;
  /** The time that the platform believes in; default: the clock. */
  readonly clock?: () => Date;
  readonly faults?: PlatformFaults;
}

/**
 * Quotes and keys by the simulator, the same root and keys after every start.
 * @throws UnseenError USAGE for a compose hash that is none; on calls ATTESTATION_UNAVAILABLE, DISK_FULL, PERMISSION_DENIED
 */
export function simulatorSource({
  directory,
  composeHash = SIMULATED_COMPOSE_HASH,
  clock = () => new Date(),
  faults = {},
}: SimulatorOptions): QuoteSource {
  checkComposeHash(composeHash);
  let started: { readonly at: Date; readonly platform: Promise<SimulatedPlatform> } | undefined;
  const platform = (): Promise<SimulatedPlatform> => {
    const at = clock();
    if (!started || Math.abs(at.getTime() - started.at.getTime()) > REFRESH_MILLISECONDS) {
      const starting = openState(directory).then((state) => makePlatform(state, { composeHash, at, faults }));
      // A failure, such as a full disk, may pass.
      starting.catch(() => (started = undefined));
      started = { at, platform: starting };
    }
    return started.platform;
  };
  return {
    kind: "simulator",
    quote: async (data) => {
      const { eventLog, collateral, quote } = await platform();
      return { quote: quote(data), eventLog, collateral };
    },
    deriveKey: async (purpose) => {
      const { secret } = await openState(directory);
      // The program is part of the key, as a platform's keys are its program's.
      return new Uint8Array(hkdfSync("sha256", secret, Buffer.from(composeHash, "hex"), `unseen/simulator/v1/${purpose}`, 32));
    },
  };
}

/**
 * The policy that accepts one simulator and one program on it.
 * @throws UnseenError USAGE, ATTESTATION_UNAVAILABLE, DISK_FULL, PERMISSION_DENIED
 */
export async function simulatorPolicy(directory: string, composeHash: string = SIMULATED_COMPOSE_HASH): Promise<Policy> {
  checkComposeHash(composeHash);
  const { rootCertificate } = await openState(directory);
  return {
    mode: "simulator",
    measurements: [{ name: "simulator", ...SIMULATED_REGISTERS, composeHash }],
    tcbStatuses: [],
    advisories: [],
    collateralUrl: null,
    simulatorRoot: Buffer.from(rootCertificate).toString("base64"),
  };
}

function checkComposeHash(composeHash: string): void {
  if (!/^[0-9a-f]{64}$/.test(composeHash))
    throw new UnseenError("USAGE", "composeHash: expected 32 bytes in lower-case hexadecimal, got something else.", {
      hint: "Give the SHA-256 of the compose file.",
    });
}
