/**
 * What one layer hands to the next while a program is written.
 * @module
 */
import type { Layout } from "./layout.ts";

/** Features as registers. */
export interface Features {
  /** One register for each ciphertext of the layout. */
  readonly registers: readonly number[];
  readonly layout: Layout;
  /** A feature is its slot times this: what comes next takes it into its constants, and at the end the client does. */
  readonly factor: number;
}
