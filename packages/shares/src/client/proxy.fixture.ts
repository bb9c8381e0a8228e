/**
 * A proxy between a client and a share server, over real HTTP/2: records what passes, and changes it.
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type ClientHttp2Session, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { FrameReader, type RawFrame } from "../frames.ts";
import { HEADER_BYTES } from "../protocol.ts";

/** Returns the frame as it is to go on, null to swallow it; may change the payload in place. */
export type Meddle = (frame: RawFrame, to: "server" | "client") => RawFrame | null;

export interface ShareProxy {
  readonly url: string;
  /** What passed, before it was meddled with; only while `recording`. */
  readonly frames: { readonly to: "server" | "client"; readonly frame: RawFrame }[];
  recording: boolean;
  meddle: Meddle;
  /** Cuts every connection that there is; new ones are taken. */
  cut(): void;
  close(): Promise<void>;
}

const unchanged: Meddle = (frame) => frame;

/** Starts a proxy on 127.0.0.1; `port` to come back where an earlier one was. */
export async function startProxy(upstream: string, port = 0): Promise<ShareProxy> {
  const sessions = new Set<ServerHttp2Session | ClientHttp2Session>();
  const server = createServer();
  const keep = (session: ServerHttp2Session | ClientHttp2Session): void => {
    sessions.add(session);
    session.on("error", () => undefined).on("close", () => sessions.delete(session));
  };
  server.on("session", keep);
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const client = connect(upstream);
    keep(client);
    const isFramed = headers[":method"] === "POST";
    const request = client.request({ ":method": headers[":method"] as string, ":path": headers[":path"] as string });
    const end = (): void => {
      stream.destroy();
      client.destroy();
    };
    request.on("response", (answer) => {
      if (!stream.destroyed) stream.respond({ ":status": answer[":status"] as number });
    });
    if (!isFramed) {
      request.on("error", end);
      stream.on("error", end);
      request.pipe(stream);
      return;
    }
    pass(stream, request, "server", end);
    pass(request, stream, "client", end);
  });

  const pass = (from: Duplex, into: Duplex, to: "server" | "client", end: () => void): void => {
    const reader = new FrameReader();
    from.on("error", end).on("close", end);
    from.on("end", () => into.end());
    from.on("data", (chunk: Uint8Array) => {
      reader.push(chunk);
      for (let frame = reader.read(); frame !== null; frame = reader.read()) {
        if (proxy.recording) proxy.frames.push({ to, frame: { ...frame, payload: frame.payload.slice() } });
        const next = proxy.meddle(frame, to);
        if (next !== null && !into.destroyed) into.write(frameBytes(next));
      }
    });
  };

  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const proxy: ShareProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    frames: [],
    recording: false,
    meddle: unchanged,
    cut() {
      for (const session of sessions) session.destroy();
    },
    async close() {
      this.cut();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

/** A frame as bytes, whatever is in it. */
export function frameBytes({ type, call, payload }: RawFrame): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length - 4, true);
  view.setUint8(4, type);
  view.setUint32(8, call, true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}
