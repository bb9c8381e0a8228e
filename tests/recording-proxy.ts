/**
 * A wire tap: a TCP proxy that keeps every byte of both directions.
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface RecordingProxy {
  /** Root URL, in place of the server's own. */
  readonly url: string;
  /** Every byte that went to the server. */
  readonly sent: () => Buffer;
  /** Every byte that came from it. */
  readonly received: () => Buffer;
  /** The JSON bodies that were sent to a path, in order. */
  bodies(path: string): Record<string, unknown>[];
  close(): void;
}

/** Stands before the server at `target`. */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const { hostname, port } = new URL(target);
  const connections: { sent: Buffer[]; received: Buffer[] }[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const connection = { sent: [] as Buffer[], received: [] as Buffer[] };
    connections.push(connection);
    const upstream = connect(Number(port), hostname);
    for (const [from, to, record] of [
      [client, upstream, connection.sent],
      [upstream, client, connection.received],
    ] as const) {
      open.add(from);
      from.on("data", (bytes: Buffer) => {
        record.push(bytes);
        to.write(bytes);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const all = (side: "sent" | "received"): Buffer => Buffer.concat(connections.flatMap((connection) => connection[side]));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => all("sent"),
    received: () => all("received"),
    bodies: (path) => connections.flatMap((connection) => parseBodies(Buffer.concat(connection.sent), path)),
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Takes HTTP/1.1 requests with a content-length apart. */
function parseBodies(bytes: Buffer, path: string): Record<string, unknown>[] {
  const bodies: Record<string, unknown>[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf("\r\n\r\n", at);
    if (end < 0) break;
    const head = bytes.subarray(at, end).toString("latin1");
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const body = bytes.subarray(end + 4, end + 4 + length);
    if (head.split(" ")[1] === path && length > 0) bodies.push(JSON.parse(body.toString("utf8")) as Record<string, unknown>);
    at = end + 4 + length;
  }
  return bodies;
}
