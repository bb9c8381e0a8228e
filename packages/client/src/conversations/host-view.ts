/**
 * What hosts received and sent for one answer, put together while it passes.
 * @module
 */
import { z } from "zod";
import type { WireEvent } from "../engines/blind.ts";
import type { ByteEvent } from "../engines/engine.ts";
import { Detokenizer } from "../detokenizer.ts";
import type { TextTokenizer } from "../tokenizer.ts";

/** Bytes kept of each side of an exchange (CWE-770). */
export const KEPT_BYTES = 64 * 1024;
/** Ids kept of each side (CWE-770). */
export const KEPT_IDS = 65_536;
/** Exchanges kept of an answer (CWE-770): a host may fail and come back for ever. */
export const KEPT_EXCHANGES = 64;

const sideSchema = z.object({
  /** Base64 of the first bytes, HTTP's head included, the host's API key replaced by stars. */
  bytes: z.string(),
  /** Of all bytes; more than `bytes` holds where it is cut. */
  total: z.int().nonnegative(),
  /** Cipher ids; none where two servers multiply shares. */
  ids: z.array(z.int()),
  /** What whoever takes the ids for those of the public tokenizer would read. */
  naive: z.string(),
});

export const hostViewSchema = z.object({
  /** More than one where a host failed and another went on, or where two servers multiply shares. */
  exchanges: z.array(z.object({ /** Address. */ host: z.string(), sent: sideSchema, received: sideSchema })),
});

export type HostView = z.output<typeof hostViewSchema>;

/** A piece that passed just now; it belongs to the end of one side of one exchange, which is new where the number is. */
export interface WirePiece {
  readonly exchange: number;
  readonly host: string;
  readonly direction: "sent" | "received";
  /** Base64; empty once the side is cut. */
  readonly bytes: string;
  /** Bytes of this piece, whether kept or not. */
  readonly size: number;
  readonly ids: readonly number[];
  readonly naive: string;
}

interface Side {
  readonly bytes: Buffer[];
  kept: number;
  total: number;
  readonly ids: number[];
  naive: string;
  readonly reader: Detokenizer;
}

interface Exchange {
  readonly host: string;
  readonly sent: Side;
  readonly received: Side;
}

/** Collects one answer's exchanges and tells of each piece. */
export class HostViewRecorder {
  readonly #exchanges: Exchange[] = [];
  readonly #tokenizer: TextTokenizer;
  readonly #tell: (piece: WirePiece) => void;
  /** Latest exchange of each address in this run; a continued answer begins new ones. */
  readonly #latest = new Map<string, number>();

  /** @param before - What was kept of the answer so far, where it is continued. */
  constructor(tokenizer: TextTokenizer, tell: (piece: WirePiece) => void, before: HostView = { exchanges: [] }) {
    this.#tokenizer = tokenizer;
    this.#tell = tell;
    for (const { host, sent, received } of before.exchanges) {
      this.#exchanges.push({ host, sent: this.#restore(sent), received: this.#restore(received) });
    }
  }

  /** For {@link BlindOptions.onWire}. */
  readonly onWire = ({ host, direction, ids }: WireEvent): void => {
    const number = direction === "sent" ? this.#open(host) : (this.#latest.get(host) ?? this.#open(host));
    const exchange = this.#exchanges[number];
    if (!exchange) return;
    const side = exchange[direction];
    const kept = ids.slice(0, KEPT_IDS - side.ids.length);
    if (kept.length === 0) return;
    for (const id of kept) side.ids.push(id);
    // A prompt comes at once; an answer's last character may still be on its way.
    const naive = kept.map((id) => side.reader.push(id)).join("") + (direction === "sent" ? side.reader.flush() : "");
    side.naive += naive;
    this.#tell({ exchange: number, host, direction, bytes: "", size: 0, ids: kept, naive });
  };

  /** For {@link BlindOptions.onBytes}. */
  readonly onBytes = ({ host, direction, bytes }: ByteEvent): void => {
    const number = this.#latest.get(host) ?? this.#open(host);
    const exchange = this.#exchanges[number];
    if (!exchange) return;
    const side = exchange[direction];
    const kept = Buffer.from(bytes.subarray(0, KEPT_BYTES - side.kept));
    if (kept.length > 0) side.bytes.push(kept);
    side.kept += kept.length;
    side.total += bytes.length;
    this.#tell({ exchange: number, host, direction, bytes: kept.toString("base64"), size: bytes.length, ids: [], naive: "" });
  };

  /** Tells what is left of unfinished characters. */
  end(): void {
    for (const [host, number] of this.#latest) {
      const side = this.#exchanges[number]?.received;
      const naive = side?.reader.flush() ?? "";
      if (!side || naive === "") continue;
      side.naive += naive;
      this.#tell({ exchange: number, host, direction: "received", bytes: "", size: 0, ids: [], naive });
    }
  }

  get view(): HostView {
    return {
      exchanges: this.#exchanges.map(({ host, sent, received }) => ({ host, sent: present(sent), received: present(received) })),
    };
  }

  /** @returns The number of a new exchange; one that is not kept where there are too many. */
  #open(host: string): number {
    const number = this.#exchanges.length;
    if (number < KEPT_EXCHANGES) this.#exchanges.push({ host, sent: this.#side(), received: this.#side() });
    this.#latest.set(host, number);
    return number;
  }

  #side(): Side {
    const reader = new Detokenizer(this.#tokenizer, { skipSpecialTokens: false });
    return { bytes: [], kept: 0, total: 0, ids: [], naive: "", reader };
  }

  #restore({ bytes, total, ids, naive }: HostView["exchanges"][number]["sent"]): Side {
    const kept = Buffer.from(bytes, "base64");
    return { ...this.#side(), bytes: [kept], kept: kept.length, total, ids: [...ids], naive };
  }
}

function present({ bytes, total, ids, naive }: Side): HostView["exchanges"][number]["sent"] {
  return { bytes: Buffer.concat(bytes).toString("base64"), total, ids: [...ids], naive };
}
