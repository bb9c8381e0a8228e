/**
 * Shows what a host saw.
 * @module
 */
import type { WireEvent } from "../engines/blind.ts";

/** Ids shown of a long list; the rest is counted. */
const SHOWN = 24;

/** Collects what passed between client and hosts during one answer. */
export class WireView {
  readonly #sent: number[][] = [];
  readonly #received: number[] = [];
  #host = "";

  /** For {@link BlindOptions.onWire}. */
  readonly record = (event: WireEvent): void => {
    this.#host = event.host;
    if (event.direction === "sent") this.#sent.push([...event.ids]);
    else this.#received.push(...event.ids);
  };

  /** All ids that hosts received, in order. */
  get sent(): number[] {
    return this.#sent.flat();
  }

  /** All ids that hosts sent. */
  get received(): readonly number[] {
    return this.#received;
  }

  /** Lines for the terminal: the prompt as the host received it, and the answer as it sent it. */
  lines(): string[] {
    const sent = this.#sent.map((ids) => `  host saw   ${listIds(ids)}`);
    return [...sent, `  host said  ${listIds(this.#received)}`, `             (${this.#host}; ids under your key, no text)`];
  }
}

/** The first ids and how many there are. */
export function listIds(ids: readonly number[]): string {
  const shown = ids.slice(0, SHOWN).join(" ");
  return `${shown}${ids.length > SHOWN ? ` … ` : " "}(${ids.length} token${ids.length === 1 ? "" : "s"})`;
}
