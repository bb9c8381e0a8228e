/**
 * Where evidence comes from, as the flags say.
 * @module
 */
import { join } from "node:path";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";

export interface AttestFlags {
  readonly attest?: "dstack" | "simulator";
  readonly attestDirectory?: string;
}

/** The simulator's directory. */
export function simulatorDirectory({ attestDirectory }: AttestFlags): string {
  return attestDirectory ?? join(resolveHome().root, "simulator");
}

/** @param note says aloud that a simulator is none of the real thing. @throws UnseenError USAGE without --attest, ATTESTATION_UNAVAILABLE */
export async function openQuoteSource(flags: AttestFlags, note: (line: string) => void): Promise<QuoteSource> {
  if (flags.attest === "dstack") return (await import("@unseen/attest/dstack-source.ts")).dstackSource();
  if (flags.attest === undefined)
    throw new UnseenError("USAGE", "nothing says where evidence comes from.", {
      hint: "Give --attest dstack in a dstack CVM, or --attest simulator to try things out.",
    });
  note(SIMULATOR_WARNING);
  const { simulatorSource } = await import("@unseen/attest/simulator/simulator-source.ts");
  return simulatorSource({ directory: simulatorDirectory(flags) });
}
