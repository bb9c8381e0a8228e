/**
 * Who looks at what passes between a client and its two servers.
 * @module
 */
import type { ServerRole } from "../protocol.ts";

/** Gets what passes of some calls, without changing it. */
export interface CallObserver {
  /** A call goes to a server, whose session began with this seed: 32 bytes, of zeros for A. */
  begin(role: ServerRole, seed: Uint8Array): void;
  /** A whole frame as it went or came, before HTTP/2 and TLS. The bytes may be kept and must not be changed. */
  frame(role: ServerRole, direction: "sent" | "received", bytes: Uint8Array): void;
}
