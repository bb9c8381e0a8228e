/**
 * dstack's event log: what was measured into RTMR3 of a trust domain after it started.
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { refusal } from "./refuse.ts";

/** Type of the events that dstack itself measures. */
export const RUNTIME_EVENT = 0x08000001;
/** Register that holds them. */
const RTMR3 = 3;
const COMPOSE_HASH = "compose-hash";

const eventSchema = z.object({
  imr: z.number().int().min(0).max(3),
  event_type: z.number().int().min(0).max(0xffffffff),
  /** SHA-384, or empty where the platform leaves it to be computed. */
  digest: z.string().regex(/^(?:[0-9a-f]{96})?$/),
  event: z.string().max(1000),
  event_payload: z
    .string()
    .max(100_000)
    .regex(/^(?:[0-9a-f]{2})*$/),
});

/** One event, with its field names as dstack writes them; digest and payload in hexadecimal. */
export type MeasuredEvent = z.infer<typeof eventSchema>;

const logSchema = z.array(eventSchema).max(10_000);

/** SHA-384 over type (32 bits, little endian), name and payload, with colons between: as dstack measures an event. */
export function eventDigest({ event_type, event, event_payload }: Omit<MeasuredEvent, "digest" | "imr">): Buffer {
  const type = Buffer.alloc(4);
  type.writeUInt32LE(event_type);
  return createHash("sha384").update(type).update(":").update(event).update(":").update(Buffer.from(event_payload, "hex")).digest();
}

/** The register after measuring digests in order, from 48 zeros. */
export function replay(digests: readonly Uint8Array[]): Buffer {
  return digests.reduce<Buffer>((register, digest) => createHash("sha384").update(register).update(digest).digest(), Buffer.alloc(48));
}

/**
 * The hash of the application's compose file, from a log that replays to RTMR3. Events of other registers are not looked at:
 * policies pin those registers themselves.
 *
 * @param rtmr3 48 bytes, from a verified quote
 * @returns SHA-256 in hexadecimal
 * @throws UnseenError ATTESTATION_INVALID for a log that does not replay; ATTESTATION_MEASUREMENT without exactly one compose hash
 */
export function composeHashOf(log: string, rtmr3: Uint8Array): string {
  const events = parse(log).filter(({ imr }) => imr === RTMR3);
  const digests = events.map(eventDigest);
  if (events.some(({ digest }, index) => digest !== "" && digest !== digests[index]?.toString("hex")))
    throw refusal("ATTESTATION_INVALID", "event log: expected digests of what the events say, got others.");
  if (!replay(digests).equals(rtmr3))
    throw refusal("ATTESTATION_INVALID", "event log: expected one that replays to RTMR3, got another one.");
  const found = events.filter(({ event, event_type }) => event === COMPOSE_HASH && event_type === RUNTIME_EVENT);
  // The application may measure events of any name later on: a second compose hash must not speak for the first.
  if (found.length !== 1 || !/^[0-9a-f]{64}$/.test(found[0]?.event_payload ?? ""))
    throw refusal("ATTESTATION_MEASUREMENT", `event log: expected one compose hash, got ${found.length}.`);
  return found[0]?.event_payload ?? "";
}

function parse(log: string): MeasuredEvent[] {
  try {
    return logSchema.parse(JSON.parse(log));
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", "event log: expected a list of events (JSON), got something else.", cause);
  }
}
