/**
 * Listens in on one HTTP request: the very bytes that its connection carries, as the host reads and writes them inside TLS.
 * @module
 */
import type { ClientRequest } from "node:http";
import type { Socket } from "node:net";

/** Gets a copy of every piece. */
export type RequestTap = (direction: "sent" | "received", bytes: Uint8Array) => void;

/**
 * Hands the tap what passes from the request's first byte on, until its connection is free for another request. In the copy, stars of the
 * same length stand for the value of `authorization`.
 */
export function tapRequest(request: ClientRequest, tap: RequestTap): void {
  // Node gives a request its connection before it writes to it, and takes it back (`close`) before the next request gets it.
  request.once("socket", (socket) => {
    let head = true;
    const stopWrites = onWrite(socket, (bytes) => {
      tap("sent", head ? hideAuthorization(bytes) : bytes);
      // Node writes all headers at once.
      head = false;
    });
    const receive = (bytes: Uint8Array): void => tap("received", Uint8Array.from(bytes));
    socket.prependListener("data", receive);
    request.once("close", () => {
      stopWrites();
      socket.off("data", receive);
    });
  });
}

/** There is no event for what is written. */
function onWrite(socket: Socket, listener: (bytes: Uint8Array) => void): () => void {
  const write = socket.write.bind(socket) as (...parameters: readonly unknown[]) => boolean;
  const listening = (chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
    const [encoding] = rest;
    const known = typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8";
    listener(typeof chunk === "string" ? Buffer.from(chunk, known) : Uint8Array.from(chunk));
    return write(chunk, ...rest);
  };
  Object.defineProperty(socket, "write", { value: listening, configurable: true, writable: true });
  return () => void Reflect.deleteProperty(socket, "write");
}

/** Overwrites the value in the bytes, which begin with a request's head. */
function hideAuthorization(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = buffer.toString("latin1", 0, buffer.indexOf("\r\n\r\n"));
  const match = /\r\nauthorization: ([^\r]*)/i.exec(head);
  const [line = "", value = ""] = match ?? [];
  const end = (match?.index ?? 0) + line.length;
  return bytes.fill("*".charCodeAt(0), end - value.length, end);
}
