/**
 * What one of two servers can see, in figures: how much it got, a sample of it, and how evenly its bytes are spread.
 * @module
 */
import { HEADER_BYTES, type ServerRole } from "../protocol.ts";
import type { CallObserver } from "./call-observer.ts";

/** Bytes of payload that are kept; the rest is only counted. */
const SAMPLE_BYTES = 4096;
/** Group and rows, before the shares or the counter. */
const CALL_BYTES = 8;

/** What a server got and sent. */
export interface ServerSight {
  /** Bytes of frames that it got. */
  readonly received: number;
  /** Bytes of frames that it sent. */
  readonly sent: number;
  /** Frames that it got. */
  readonly calls: number;
  /** The first bytes of what it got, at most 4096. A: masked numbers. B: its seed, then group, rows and counter of each call. */
  readonly sample: Uint8Array;
  /** How often each byte value is among the masked numbers (256); zeros for B, which gets none. */
  readonly histogram: readonly number[];
  /** Of the histogram against equal shares, 255 degrees of freedom. */
  readonly chiSquare: number;
}

/** Looks at the frames of one server. */
class ServerWitness {
  /** Bytes of frames that the server got. */
  received = 0;
  /** Bytes of frames that it sent. */
  sent = 0;
  /** Frames that it got. */
  calls = 0;
  readonly #histogram = new Float64Array(256);
  readonly #sample = new Uint8Array(SAMPLE_BYTES);
  #sampled = 0;
  #seed: Uint8Array | null = null;

  /** The seed of the session in which calls go now; a server gets each once. */
  begin(seed: Uint8Array): void {
    if (this.#seed === seed) return;
    this.#seed = seed;
    this.keep(seed);
  }

  /** A payload of masked numbers. */
  count(numbers: Uint8Array): void {
    for (const value of numbers) this.#histogram[value]! += 1;
    this.keep(numbers);
  }

  /** Takes bytes into the sample while there is room. */
  keep(bytes: Uint8Array): void {
    const kept = bytes.subarray(0, SAMPLE_BYTES - this.#sampled);
    this.#sample.set(kept, this.#sampled);
    this.#sampled += kept.length;
  }

  get sight(): ServerSight {
    const { received, sent, calls } = this;
    const histogram = [...this.#histogram];
    return { received, sent, calls, sample: this.#sample.slice(0, this.#sampled), histogram, chiSquare: chiSquareOf(histogram) };
  }
}

/** Looks at both servers. */
export class PairWitness implements CallObserver {
  readonly #servers: Readonly<Record<ServerRole, ServerWitness>> = { A: new ServerWitness(), B: new ServerWitness() };

  begin(role: ServerRole, seed: Uint8Array): void {
    if (role === "B") this.#servers.B.begin(seed);
  }

  frame(role: ServerRole, direction: "sent" | "received", bytes: Uint8Array): void {
    const server = this.#servers[role];
    if (direction === "received") {
      server.sent += bytes.length;
      return;
    }
    server.received += bytes.length;
    server.calls += 1;
    if (role === "A") server.count(bytes.subarray(HEADER_BYTES + CALL_BYTES));
    else server.keep(bytes.subarray(HEADER_BYTES));
  }

  /** What A and B saw. */
  get sights(): readonly [ServerSight, ServerSight] {
    return [this.#servers.A.sight, this.#servers.B.sight];
  }
}

/** The statistic of Pearson's test that all values are equally likely; 0 without numbers. */
export function chiSquareOf(histogram: readonly number[]): number {
  const expected = histogram.reduce((sum, count) => sum + count, 0) / histogram.length;
  if (expected === 0) return 0;
  return histogram.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
