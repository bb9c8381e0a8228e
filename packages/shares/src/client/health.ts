/**
 * Whether a share server answers, without opening a session.
 * @module
 */
import { connect } from "node:http2";

/** Asks `GET /health` over a connection of its own; false without a good answer within `patience` milliseconds. */
export async function isHealthy(url: URL, patience: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = connect(url.origin);
  const failed = (): void => resolve(false);
  const timer = setTimeout(failed, patience);
  try {
    connection.on("error", failed).on("close", failed);
    const stream = connection.request({ ":path": `${url.pathname.replace(/\/$/, "")}/health` });
    stream.on("error", failed).on("response", (headers) => resolve(headers[":status"] === 200));
    return await promise;
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}
