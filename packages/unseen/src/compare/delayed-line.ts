/**
 * Distance between two machines, where both are this one.
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A line that is open. */
export interface DelayedLine {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * A TCP line on 127.0.0.1 to a server, on which each byte takes `delay` milliseconds there, and none back: timers count whole milliseconds.
 */
export async function delayedLine(upstream: string, delay: number): Promise<DelayedLine> {
  const { hostname, port } = new URL(upstream);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    const onward = connect({ host: hostname, port: Number(port), noDelay: true });
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      // One timer for each piece keeps their order.
      from.on(
        "data",
        (piece: Buffer) =>
          void (delay === 0 || from === onward ? to.write(piece) : setTimeout(() => to.writable && to.write(piece), delay)),
      );
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
