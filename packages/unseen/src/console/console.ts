/**
 * What the console's routes share: one key holder's home, and what the running gateway offers.
 * @module
 */
import type { Home } from "@unseen/client/home.ts";
import type { Offer } from "@unseen/client/gateway/offer.ts";
import type { Hono } from "hono";

export interface Console {
  readonly home: Home;
  /** Version of the program. */
  readonly version: string;
  readonly offer: Offer;
  /** What is still being made ready at the start, for a person. */
  preparing: string | null;
  /** Remarks for whoever runs the gateway; never content. */
  readonly note: (line: string) => void;
}

/** A part of the console: its routes, and how it ends. */
export interface ConsolePart {
  /** Paths begin with `/console/`. Errors are thrown; the console writes them. */
  readonly routes: Hono;
  /** Ends what runs: answers, processes, connections. */
  close?(): Promise<void>;
}
