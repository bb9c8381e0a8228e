/**
 * Quotes and keys from dstack, whose guest agent listens on a Unix socket inside a trust domain.
 * @module
 */
import { existsSync } from "node:fs";
import { fetchCollateral } from "./collateral-service.ts";
import type { QuoteSource } from "./evidence.ts";
import { refusal } from "./refuse.ts";
import { parseQuote } from "./tdx-quote.ts";

/** Where guest agents listen, newest layout last. */
const SOCKETS = ["/var/run/dstack.sock", "/run/dstack.sock", "/var/run/dstack/dstack.sock", "/run/dstack/dstack.sock"];
const TIMEOUT_MILLISECONDS = 15_000;
const KEY_BYTES = 32;

/** Where the guest agent is. */
export interface DstackOptions {
  /** Path of the socket, or an address; default: DSTACK_SIMULATOR_ENDPOINT, else the first socket there is. */
  readonly endpoint?: string;
  /** Where collateral is fetched, to be stapled; default: whoever verifies fetches it. */
  readonly collateralUrl?: string;
}

/** The platform as a source of quotes. Nothing is looked for before the first call. */
export function dstackSource({ endpoint, collateralUrl }: DstackOptions = {}): QuoteSource {
  const connect = async () => {
    const found = endpoint ?? process.env["DSTACK_SIMULATOR_ENDPOINT"] ?? SOCKETS.find((path) => existsSync(path));
    if (found === undefined) throw refusal("ATTESTATION_UNAVAILABLE", `expected dstack's socket (${SOCKETS[0]} or alike), got none.`);
    const { DstackClient } = await import("@phala/dstack-sdk");
    return new DstackClient(found);
  };
  return {
    kind: "tdx",
    quote: (data) =>
      answer("a quote", async () => {
        const { quote: text, event_log: eventLog } = await (await connect()).getQuote(data);
        const hexadecimal = text.replace(/^0x/, "");
        if (!/^(?:[0-9a-f]{2})+$/i.test(hexadecimal) || typeof eventLog !== "string") throw new Error("a quote of another form");
        const quote = Buffer.from(hexadecimal, "hex");
        const collateral = collateralUrl === undefined ? null : await fetchCollateral(collateralUrl, platformOf(quote));
        return { quote: new Uint8Array(quote), eventLog, collateral };
      }),
    deriveKey: (purpose) =>
      answer("a key", async () => {
        const { key } = await (await connect()).getKey(purpose, purpose);
        if (key.length !== KEY_BYTES) throw new Error(`${key.length} bytes`);
        return key;
      }),
  };
}

function platformOf(quote: Buffer) {
  const [platform] = parseQuote(quote).chain;
  if (!platform) throw new Error("a quote without a platform");
  return platform;
}

async function answer<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("timeout")), TIMEOUT_MILLISECONDS);
  try {
    return await Promise.race([ask(), late]);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ATTESTATION_UNAVAILABLE") throw cause;
    throw refusal("ATTESTATION_UNAVAILABLE", `dstack: expected ${what}, got no answer that can be used.`, cause);
  } finally {
    clearTimeout(timer);
  }
}
