/**
 * The multiplier of the protocol: server A multiplies x - r, server B multiplies r, the client adds, and checks.
 *
 * Each server alone sees numbers that are uniform whatever the rows are; both together would see the rows.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { layoutDigest, limbName, type Layout } from "../layout.ts";
import type { ActivationLimits, Multiplier } from "../multiplier.ts";
import { HEADER_BYTES, protocolLimits, type ServerRole } from "../protocol.ts";
import { addSigned, maskRows, subtract } from "../ring/shares.ts";
import { nameLiar } from "./audit.ts";
import type { CallObserver } from "./call-observer.ts";
import { ShareConnection } from "./connection.ts";
import { checkProducts, type Projection, type Projections } from "./integrity.ts";
import { isReadable, refuseOneMachine, serverUrl } from "./operators.ts";
import type { Call, ShareSession } from "./session.ts";

/** Two servers, and what a preparation left at the client. */
export interface RemoteMultiplierOptions {
  readonly urlA: string;
  readonly urlB: string;
  readonly layout: Layout;
  /** Of every limb of every layer. */
  readonly checks: Projections;
  readonly limits: ActivationLimits;
  /** Takes two servers on one machine, which protects nothing: for trials. */
  readonly allowSameOperator?: boolean;
  /** Lines without content. */
  readonly log?: (line: string) => void;
  /** Milliseconds that a server may take for an answer; default one minute. */
  readonly deadline?: number;
  /** Milliseconds before the second attempt to reach a server that was lost. */
  readonly firstDelay?: number;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca?: string;
}

/** What the protocol cost so far. */
export interface ShareStatistics {
  /** Bytes of frames to and from each server. */
  readonly servers: readonly { readonly url: string; readonly sent: number; readonly received: number }[];
  /** Products asked for; their calls travel together, so each costs one round trip. */
  readonly roundTrips: number;
  /** Calls to each server. */
  readonly calls: number;
  /** Time in which at least one call was on its way. */
  readonly secondsWaiting: number;
  /** Products of one row and one limb of one layer that were checked against the secret projections. */
  readonly checked: number;
  /** The first that was wrong, with the name of the server that lied; null: none was. */
  readonly violation: UnseenError | null;
}

/** A part of a group's rows. */
interface Part {
  readonly group: number;
  readonly rows: Int32Array;
  readonly count: number;
}

const DEADLINE = 60_000;

/**
 * Multiplies on two servers.
 *
 * @example
 * ```ts
 * const checks = await ProjectionFile.read("story-client/checks.safetensors", layout);
 * const multiplier = await RemoteMultiplier.connect({ urlA: "https://a.example", urlB: "https://b.example", layout, checks, limits });
 * const [queries, keys, values] = await multiplier.multiply(0, rows, 1);
 * ```
 */
export class RemoteMultiplier implements Multiplier {
  readonly #layout: Layout;
  readonly #limits: ActivationLimits;
  /** By group; in the order of the products. */
  readonly #projections: readonly (readonly Projection[])[];
  readonly #a: ShareConnection;
  readonly #b: ShareConnection;
  readonly #urls: readonly [string, string];
  /** Set once a server was caught; nothing is sent any more. */
  #fault: UnseenError | null = null;
  #roundTrips = 0;
  #calls = 0;
  #checked = 0;
  #underWay = 0;
  #since = 0;
  #waited = 0;

  private constructor(options: RemoteMultiplierOptions, a: URL, b: URL) {
    const { layout, limits, checks, deadline = DEADLINE, ca, firstDelay, log } = options;
    this.#layout = layout;
    this.#limits = limits;
    this.#projections = projectionsOf(layout, checks);
    if (limits.length !== layout.groups.length || !limits.every((limit) => Number.isSafeInteger(limit) && limit > 0))
      throw new UnseenError(
        "BUNDLE_INVALID",
        `expected ${layout.groups.length} activation limits, got ${limits.length} or some that are none.`,
      );
    const digest = layoutDigest(layout);
    const connection = (role: ServerRole, url: URL): ShareConnection =>
      new ShareConnection({
        role,
        url,
        digest,
        deadline,
        ...(ca === undefined ? {} : { ca }),
        ...(firstDelay === undefined ? {} : { firstDelay }),
        ...(log === undefined ? {} : { log }),
      });
    this.#a = connection("A", a);
    this.#b = connection("B", b);
    this.#urls = [a.href, b.href];
  }

  /**
   * Connects to both servers.
   *
   * @throws UnseenError USAGE for one machine in both roles; BUNDLE_INVALID for checks or limits that do not fit the layout;
   *   HOST_UNREACHABLE, HOST_TIMEOUT, HOST_PROTOCOL, HOST_REFUSED for a server that does not take part
   */
  static async connect(options: RemoteMultiplierOptions): Promise<RemoteMultiplier> {
    const [a, b] = [serverUrl(options.urlA), serverUrl(options.urlB)];
    if (options.allowSameOperator !== true) await refuseOneMachine(a, b);
    for (const url of [a, b])
      if (isReadable(url))
        options.log?.(`${url.origin} is not encrypted on the way: who listens on the lines to both servers can read the activations`);
    const multiplier = new RemoteMultiplier(options, a, b);
    try {
      await multiplier.#sessions();
      return multiplier;
    } catch (error) {
      multiplier.close();
      throw error;
    }
  }

  /** As {@link Multiplier.multiply}; `observer` gets the frames of this product. */
  async multiply(group: number, rows: Int32Array, count: number, signal?: AbortSignal, observer?: CallObserver): Promise<Float64Array[]> {
    if (this.#fault !== null) throw this.#fault;
    const { in: inputs, layers } = this.#checkRows(group, rows, count);
    const [a, b] = await this.#sessions(signal);
    const step = this.#rowsOfCall(group, Math.min(a.rows, b.rows));
    const products = layers.map(({ out }) => new Float64Array(count * out));
    const parts: Promise<void>[] = [];
    for (let from = 0; from < count; from += step) {
      const end = Math.min(count, from + step);
      const part = { group, rows: rows.subarray(from * inputs, end * inputs), count: end - from };
      parts.push(this.#multiplyPart(a, b, part, signal, observer).then((sums) => this.#combine(part, sums, products, from)));
    }
    this.#roundTrips += 1;
    // Calls that end because a server was caught meanwhile say so.
    await Promise.all(parts).catch((error: unknown) => {
      throw this.#fault ?? error;
    });
    return products;
  }

  statistics(): ShareStatistics {
    const running = this.#underWay > 0 ? performance.now() - this.#since : 0;
    return {
      servers: [this.#a, this.#b].map(({ traffic }, i) => ({ url: this.#urls[i]!, ...traffic })),
      roundTrips: this.#roundTrips,
      calls: this.#calls,
      secondsWaiting: (this.#waited + running) / 1000,
      checked: this.#checked,
      violation: this.#fault,
    };
  }

  /** Ends both connections; products that wait fail. */
  close(): void {
    this.#a.close();
    this.#b.close();
  }

  async #sessions(signal?: AbortSignal): Promise<[ShareSession, ShareSession]> {
    return Promise.all([this.#a.session(signal), this.#b.session(signal)]);
  }

  /** Rows of one call, so that even the exact products of an audit fit into a frame. */
  #rowsOfCall(group: number, largest: number): number {
    const { in: inputs } = this.#layout.groups[group]!;
    const bytes = Math.max(8 + 4 * inputs, 8 * this.#numbersOf(group, 1));
    const rows = Math.min(largest, Math.floor((protocolLimits.frameBytes - HEADER_BYTES - 8) / bytes));
    if (rows < 1) throw new UnseenError("REQUEST_TOO_LARGE", `one row of group ${group} takes ${bytes} bytes, more than a frame may have.`);
    return rows;
  }

  #numbersOf(group: number, count: number): number {
    return this.#layout.groups[group]!.layers.reduce((sum, { out }) => sum + out, 0) * this.#layout.limbs * count;
  }

  #checkRows(group: number, rows: Int32Array, count: number): Layout["groups"][number] {
    const found = this.#layout.groups[group];
    const limit = this.#limits[group] ?? 0;
    if (found === undefined || !Number.isSafeInteger(count) || count < 0 || rows.length !== count * found.in)
      throw new UnseenError(
        "INTERNAL",
        `expected ${count} rows of ${found?.in ?? "no"} numbers for group ${group}, got ${rows.length} numbers.`,
      );
    for (const value of rows)
      if (value > limit || value < -limit)
        // The number itself is content: it stays out of the message.
        throw new UnseenError("INTERNAL", `expected activations of group ${group} within ${limit}, got one beyond.`);
    return found;
  }

  /** The sums of both answers, checked: layer by layer and limb by limb, (count, out). */
  async #multiplyPart(a: ShareSession, b: ShareSession, part: Part, signal?: AbortSignal, observer?: CallObserver): Promise<Int32Array> {
    const { group, rows, count } = part;
    const counter = b.nextCounter();
    const shareB = maskRows(b.seed, counter, rows.length);
    const shareA = subtract(rows, shareB);
    const call = { group, rows: count, numbers: this.#numbersOf(group, count) };
    const callA: Call = { ...call, type: "multiply", input: { shares: shareA } };
    const callB: Call = { ...call, type: "multiply", input: { counter } };
    const ask = (): Promise<unknown[]> => Promise.all([a.call(callA, signal, observer), b.call(callB, signal, observer)]);
    const [ofA, ofB] = (await this.#timed(ask)) as [Uint32Array, Uint32Array];
    const sums = new Int32Array(addSigned(ofA, ofB));
    this.#checked += count * this.#projections[group]!.length;
    if (this.#isRight(part, sums)) return sums;
    const audit = (session: ShareSession, of: Call) => async (): Promise<BigInt64Array> =>
      (await session.call({ ...of, type: "audit" }, undefined, observer)) as BigInt64Array;
    const error = await nameLiar(
      [
        { name: this.#a.name, share: shareA, products: ofA, exact: audit(a, callA) },
        { name: this.#b.name, share: shareB, products: ofB, exact: audit(b, callB) },
      ],
      this.#projections[group]!,
      count,
    );
    this.#fault ??= error;
    this.close();
    throw this.#fault;
  }

  #isRight({ group, rows, count }: Part, sums: Int32Array): boolean {
    let at = 0;
    return this.#projections[group]!.every((projection) => {
      const end = at + count * projection.v.length;
      const right = checkProducts(projection, rows, sums.subarray(at, end), count);
      at = end;
      return right;
    });
  }

  /** Puts limbs together, high * 256 + low, at row `from` of each layer's products. */
  #combine({ group, count }: Part, sums: Int32Array, products: readonly Float64Array[], from: number): void {
    let at = 0;
    for (const [index, { out }] of this.#layout.groups[group]!.layers.entries()) {
      const size = count * out;
      const target = products[index]!.subarray(from * out, from * out + size);
      target.set(sums.subarray(at, at + size));
      at += size;
      if (this.#layout.limbs === 1) continue;
      for (let i = 0; i < size; i += 1) target[i]! += 256 * sums[at + i]!;
      at += size;
    }
  }

  async #timed<T>(action: () => Promise<T>): Promise<T> {
    if (this.#underWay === 0) this.#since = performance.now();
    this.#underWay += 1;
    this.#calls += 1;
    try {
      return await action();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#waited += performance.now() - this.#since;
    }
  }
}

function projectionsOf({ groups, limbs }: Layout, checks: Projections): Projection[][] {
  return groups.map((group) =>
    group.layers.flatMap(({ name, out }) =>
      Array.from({ length: limbs }, (_, limb) => {
        const projection = checks.get(limbName(name, limb));
        if (projection?.v.length !== out || projection.u.length !== group.in)
          throw new UnseenError("BUNDLE_INVALID", `expected a check of ${out} x ${group.in} for ${limbName(name, limb)}.`, {
            hint: "Use the checks that were written when the model was prepared.",
          });
        return projection;
      }),
    ),
  );
}
