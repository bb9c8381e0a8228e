/**
 * The work of `unseen attest policy`.
 * @module
 */
import { randomBytes } from "node:crypto";
import { composeHashOf } from "@unseen/attest/event-log.ts";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { simulatorPolicy } from "@unseen/attest/simulator/simulator-source.ts";
import { parseQuote } from "@unseen/attest/tdx-quote.ts";
import { writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Terminal } from "../terminal.ts";
import { openQuoteSource, simulatorDirectory, type AttestFlags } from "./quote-source.ts";

/** Writes a policy that allows exactly what runs here. Whoever requires it should compare the registers with a build of their own. */
export async function makePolicy(options: AttestFlags & { readonly out?: string }, terminal: Terminal): Promise<object> {
  const source = await openQuoteSource(options, terminal.note);
  const policy = source.kind === "simulator" ? await simulatorPolicy(simulatorDirectory(options)) : await measuredPolicy(source);
  const text = `${JSON.stringify(policy, null, 2)}\n`;
  if (options.out === undefined) terminal.print(text.trimEnd());
  else {
    await writeFileAtomically(options.out, text, 0o644);
    terminal.print(
      `Wrote ${options.out}: ${policy.measurements.map(({ name, composeHash }) => `${name}, compose file ${composeHash.slice(0, 12)}`).join("; ")}.`,
    );
  }
  return policy;
}

/** What the platform says of itself now. */
async function measuredPolicy(source: QuoteSource): Promise<Policy> {
  const { quote, eventLog } = await source.quote(randomBytes(64));
  const { report } = parseQuote(Buffer.from(quote));
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const composeHash = composeHashOf(eventLog, report.rtMr3);
  return {
    mode: "production",
    measurements: [
      {
        name: "measured here",
        mrtd: hex(report.mrTd),
        rtmr0: hex(report.rtMr0),
        rtmr1: hex(report.rtMr1),
        rtmr2: hex(report.rtMr2),
        composeHash,
      },
    ],
    tcbStatuses: [],
    advisories: [],
    collateralUrl: "https://api.trustedservices.intel.com",
  };
}
