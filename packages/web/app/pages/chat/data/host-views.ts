/**
 * What hosts received and sent, put together from pieces.
 * @module
 */
import type { HostView, WireExchange, WirePiece, WireSide } from "../../../../src/protocol/conversations.ts";
import { fromBase64 } from "../../../parts/bytes.ts";

export interface Exchange {
  /** Address. */
  readonly host: string;
  /** By this machine to the host. */
  readonly sent: Side;
  /** From the host. */
  readonly received: Side;
}

export interface Side {
  /** The first ones. */
  readonly bytes: Uint8Array;
  /** Number of all bytes. */
  readonly total: number;
  readonly ids: readonly number[];
  readonly naive: string;
}

const NOTHING: Side = { bytes: new Uint8Array(), total: 0, ids: [], naive: "" };

/** Decodes a view. @throws DOMException for what is no base64 */
export function exchangesOf(view: HostView): readonly Exchange[] {
  return view.exchanges.map(({ host, sent, received }: WireExchange) => ({ host, sent: sideOf(sent), received: sideOf(received) }));
}

/** Adds pieces, in the order in which they came. A piece of an exchange far beyond those known is of no use. */
export function withPieces(exchanges: readonly Exchange[], pieces: readonly WirePiece[]): readonly Exchange[] {
  const result = [...exchanges];
  for (const piece of pieces) {
    if (piece.exchange > result.length) continue;
    const before = result[piece.exchange] ?? { host: piece.host, sent: NOTHING, received: NOTHING };
    result[piece.exchange] = { ...before, [piece.direction]: sideWith(before[piece.direction], piece) };
  }
  return result;
}

function sideOf({ bytes, total, ids, naive }: WireSide): Side {
  return { bytes: fromBase64(bytes), total, ids, naive };
}

function sideWith(side: Side, { bytes, size, ids, naive }: WirePiece): Side {
  return {
    bytes: bytes === "" ? side.bytes : joined(side.bytes, fromBase64(bytes)),
    total: side.total + size,
    ids: ids.length === 0 ? side.ids : [...side.ids, ...ids],
    naive: side.naive + naive,
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
