/**
 * What hosts saw, whole and in pieces.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostView, WirePiece } from "../../../../src/protocol/conversations.ts";
import { toBase64 } from "../../../parts/bytes.ts";
import { exchangesOf, withPieces } from "./host-views.ts";

const bytes = (text: string): string => toBase64(new TextEncoder().encode(text));
const text = (of: Uint8Array): string => new TextDecoder().decode(of);

test("pieces add up to what a view holds, and a view goes on with pieces", () => {
  const pieces: WirePiece[] = [
    { exchange: 0, host: "a", direction: "sent", bytes: bytes("POST "), size: 5, ids: [1, 2], naive: "one two" },
    { exchange: 0, host: "a", direction: "received", bytes: bytes("HTTP"), size: 4, ids: [3], naive: "three" },
    { exchange: 1, host: "b", direction: "sent", bytes: "", size: 9, ids: [], naive: "" },
    { exchange: 0, host: "a", direction: "sent", bytes: bytes("/"), size: 1, ids: [4], naive: " four" },
  ];
  const exchanges = withPieces([], pieces);
  assert.equal(exchanges.length, 2);
  assert.equal(text(exchanges[0]!.sent.bytes), "POST /");
  assert.deepEqual([exchanges[0]!.sent.total, exchanges[0]!.sent.ids, exchanges[0]!.sent.naive], [6, [1, 2, 4], "one two four"]);
  assert.deepEqual([exchanges[1]!.host, exchanges[1]!.sent.total, exchanges[1]!.sent.bytes.length], ["b", 9, 0]);
  const side = { bytes: bytes("x"), total: 1, ids: [7], naive: "y" };
  const view: HostView = { exchanges: [{ host: "a", sent: side, received: side }] };
  const gone = withPieces(exchangesOf(view), pieces.slice(0, 1));
  assert.equal(text(gone[0]!.sent.bytes), "xPOST ");
  // What was given is left as it was.
  assert.equal(text(exchangesOf(view)[0]!.sent.bytes), "x");
});

test("a piece of an exchange that cannot be is left out", () => {
  const piece: WirePiece = { exchange: 1e9, host: "a", direction: "sent", bytes: "", size: 1, ids: [], naive: "" };
  assert.deepEqual(withPieces([], [piece]), []);
});
