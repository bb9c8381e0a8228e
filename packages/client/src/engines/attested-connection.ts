/**
 * Connections to attested hosts alone. Before a byte of a request is written, evidence asked for over that very connection must show, to
 * a policy, that the host's TLS key was made inside an enclave which runs an allowed program.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request, type AgentOptions, type RequestOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect, TLSSocket, type ConnectionOptions } from "node:tls";
import { callbackify } from "node:util";
import type { Policy } from "@unseen/attest/policy.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { answerTo } from "./host-connection.ts";
import { connectionError, readJson, refusal } from "./host-error.ts";
import { Watchdog } from "./watchdog.ts";

/** Evidence is asked for again after this long, with a fresh nonce. */
const VALIDITY = 3_600_000; // ms
/** From the first packet to the verdict; a quote takes hardware a moment, and the vendor's statements may have to be fetched. */
const TIMEOUT = 30_000; // ms
/** One piece of evidence as JSON (CWE-770): the limits of its parts, and quotes inside the event log escaped. */
const MAXIMUM_EVIDENCE_BYTES = 10_000_000;
const NONCE_BYTES = 32;

/** What a host has shown. */
export interface HostProof {
  /** "simulator" shows nothing. */
  readonly kind: "tdx" | "simulator";
  /** Name of the policy's measurement that matched. */
  readonly measurement: string;
  readonly tcbStatus: string;
  readonly advisories: readonly string[];
  /** Milliseconds since the epoch. */
  readonly verifiedAt: number;
}

export interface HostAttestationOptions {
  /** Gets a line for each verdict. */
  readonly log?: ((line: string) => void) | undefined;
  /** The clock, in milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/** A TLS key and when its evidence was asked for. */
interface KnownKey {
  readonly since: number;
  readonly verified: Promise<void>;
}

/** What a client demands of one host before it sends anything, and what the host has shown. */
export class HostAttestation {
  readonly url: string;
  /** Whether the policy accepts a simulator, which protects nothing. */
  readonly simulated: boolean;
  readonly #policy: Policy;
  readonly #log: (line: string) => void;
  readonly #now: () => number;
  /** By the hash of the key. Connections that show one key wait for one verdict. */
  readonly #keys = new Map<string, KnownKey>();
  readonly #keyOf = new WeakMap<Duplex, string>();
  #proof: HostProof | null = null;

  /**
   * @param url Root of the host.
   * @throws UnseenError USAGE for an address that is not https: evidence vouches for a TLS key.
   */
  constructor(url: string, policy: Policy, { log = () => {}, now = Date.now }: HostAttestationOptions = {}) {
    if (URL.parse(url)?.protocol !== "https:") {
      throw new UnseenError("USAGE", `the host's address must begin with https:// where attestation is required, got ${url}.`, {
        hint: "Start the host with `unseen serve MODEL --attest`, and give the address that it prints with --host.",
      });
    }
    this.url = url;
    this.simulated = policy.mode === "simulator";
    this.#policy = policy;
    this.#log = log;
    this.#now = now;
  }

  /** The newest proof; null before the first. */
  get proof(): HostProof | null {
    return this.#proof;
  }

  /** Keeps connections to this host whose key is attested, and opens no others. Proxies of the environment are not used. */
  agent(settings: AgentOptions): Agent {
    return new AttestedAgent(this, settings);
  }

  /**
   * Waits for a connection's handshake and for the proof that its key is the enclave's.
   * @throws UnseenError ATTESTATION_*, HOST_*
   */
  async admit(socket: TLSSocket): Promise<void> {
    const watchdog = new Watchdog(TIMEOUT, `the host at ${this.url}`);
    watchdog.signal.addEventListener("abort", () => socket.destroy(watchdog.signal.reason as Error), { once: true });
    // It may fail while it waits for the verdict on another connection, when nobody else listens.
    socket.on("error", () => {});
    try {
      await once(socket, "secureConnect", { signal: watchdog.signal });
      const keyHash = keyHashOf(socket);
      const name = keyHash.toString("base64");
      this.#keyOf.set(socket, name);
      if (!this.isFresh(socket)) this.#remember(name, this.#verify(socket, keyHash, watchdog.signal));
      await this.#keys.get(name)?.verified;
      if (socket.destroyed) throw new UnseenError("HOST_UNREACHABLE", `the host at ${this.url} closed the connection.`);
    } catch (error) {
      const reason = connectionError(this.url, watchdog.signal.aborted ? watchdog.signal.reason : error);
      if (!UnseenError.isInstance(reason) || !reason.code.startsWith("ATTESTATION_")) throw reason;
      this.#log(`attestation of ${this.url}: REFUSED ${reason.code}`);
      throw new UnseenError(reason.code, `the host at ${this.url} is refused and was sent nothing: ${reason.message}`, {
        ...(reason.hint ? { hint: reason.hint } : {}),
        cause: reason,
      });
    } finally {
      watchdog.stop();
    }
  }

  /** Whether the proof of a connection's key is young enough to use it once more. */
  isFresh(socket: Duplex): boolean {
    const known = this.#keys.get(this.#keyOf.get(socket) ?? "");
    return known !== undefined && this.#now() - known.since < VALIDITY;
  }

  #remember(name: string, verified: Promise<void>): void {
    // A host with ever new keys must not fill this machine's memory (CWE-770).
    for (const [other, { since }] of this.#keys) if (this.#now() - since >= VALIDITY) this.#keys.delete(other);
    const known = { since: this.#now(), verified };
    this.#keys.set(name, known);
    verified.catch(() => {
      if (this.#keys.get(name) === known) this.#keys.delete(name);
    });
  }

  async #verify(socket: TLSSocket, tlsKeyHash: Uint8Array, signal: AbortSignal): Promise<void> {
    // Loaded when it is needed: most commands verify nothing.
    const { verifyEvidence } = await import("@unseen/attest/verify-evidence.ts");
    const nonce = randomBytes(NONCE_BYTES);
    const evidence = await this.#askEvidence(socket, nonce, signal);
    const { kind, measurement, tcbStatus, advisories, warnings } = await verifyEvidence(evidence, {
      nonce,
      tlsKeyHash,
      policy: this.#policy,
      now: new Date(this.#now()),
    });
    this.#proof = { kind, measurement, tcbStatus, advisories, verifiedAt: this.#now() };
    this.#log(`attestation of ${this.url}: "${measurement}", ${tcbStatus}`);
    for (const warning of warnings) this.#log(`attestation of ${this.url}: ${warning}`);
  }

  /** One request over the given connection, which stays open for others. */
  async #askEvidence(socket: TLSSocket, nonce: Buffer, signal: AbortSignal): Promise<unknown> {
    const { hostname, port, pathname } = new URL(this.url);
    const freed = Promise.race([
      once(socket, "free"),
      once(socket, "close").then(() => {
        throw new UnseenError("ATTESTATION_UNAVAILABLE", "it closes the connection over which it gave evidence.");
      }),
    ]);
    freed.catch(() => {});
    const query = request({
      createConnection: () => socket,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port,
      path: `${pathname.replace(/\/$/, "")}/v1/attestation?nonce=${nonce.toString("base64url")}`,
      headers: { connection: "keep-alive" },
    });
    const response = await answerTo(query, undefined, signal);
    if (!response.ok) {
      const { code, message } = await refusal(this.url, response);
      if (code === "OVERLOADED") throw new UnseenError(code, message, { hint: "Try again in a moment." });
      throw new UnseenError("ATTESTATION_UNAVAILABLE", `it gives no evidence (status ${response.status}).`, {
        hint: response.status < 500 ? "Start it with `unseen serve MODEL --attest`." : "See the host's log.",
      });
    }
    const evidence = await readJson(this.url, response, MAXIMUM_EVIDENCE_BYTES);
    response.finish();
    await freed;
    return evidence;
  }
}

class AttestedAgent extends Agent {
  readonly #attestation: HostAttestation;

  constructor(attestation: HostAttestation, settings: AgentOptions) {
    // A resumed session would show the key of an earlier one.
    super({ ...settings, maxCachedSessions: 0 });
    this.#attestation = attestation;
  }

  /** Hands the connection over once it is admitted: until then requests wait, and nothing of them is written. */
  override createConnection(options: RequestOptions, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    // Who signed the certificate means nothing: the evidence vouches for its key. From TLS 1.3 on a connection keeps its key.
    const socket = connect({ ...(options as ConnectionOptions), rejectUnauthorized: false, minVersion: "TLSv1.3" });
    callbackify(() => this.#attestation.admit(socket))((error) => {
      if (error) socket.destroy();
      callback?.(error, socket);
    });
  }

  /** A kept connection is given up with its proof. */
  override keepSocketAlive(socket: Duplex): boolean {
    return this.#attestation.isFresh(socket) && Boolean(super.keepSocketAlive(socket));
  }
}

/** SHA-256 of the SubjectPublicKeyInfo of the peer's certificate. */
function keyHashOf(socket: TLSSocket): Buffer {
  try {
    const { publicKey } = socket.getPeerX509Certificate()!;
    return createHash("sha256")
      .update(publicKey.export({ type: "spki", format: "der" }))
      .digest();
  } catch (cause) {
    throw new UnseenError("ATTESTATION_INVALID", "its TLS certificate holds no key that can be read.", { cause });
  }
}
