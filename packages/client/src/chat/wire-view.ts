/**
 * Shows what a host saw.
 * @module
 */
import type { WireEvent } from "../engines/blind.ts";

/** Ids shown of a long list; the rest is counted. */
const SHOWN = 24;
/** Numbers shown of a list. */
const SHOWN_NUMBERS = 8;

/** Collects what passed between client and hosts during one answer. */
export class WireView {
  readonly #sent: number[][] = [];
  readonly #masks: number[][] = [];
  readonly #received: number[] = [];
  readonly #numbersSent: number[][] = [];
  readonly #numbersReceived: number[][] = [];
  #host = "";

  /** For {@link BlindOptions.onWire}. */
  readonly record = (event: WireEvent): void => {
    this.#host = event.host;
    if (event.values) (event.direction === "sent" ? this.#numbersSent : this.#numbersReceived).push(Array.from(event.values));
    else if (event.direction === "sent") {
      this.#sent.push([...event.ids]);
      if (event.mask) this.#masks.push([...event.mask]);
    } else this.#received.push(...event.ids);
  };

  /** All ids that hosts received, in order. */
  get sent(): number[] {
    return this.#sent.flat();
  }

  /** The masks that went with them, where sequences were filled up: as many numbers as ids, 1 for those of the text. */
  get masks(): readonly (readonly number[])[] {
    return this.#masks;
  }

  /** All ids that hosts sent. */
  get received(): readonly number[] {
    return this.#received;
  }

  /** The encrypted numbers that hosts received and sent: pictures and vectors, one list each. */
  get numbers(): { readonly sent: readonly (readonly number[])[]; readonly received: readonly (readonly number[])[] } {
    return { sent: this.#numbersSent, received: this.#numbersReceived };
  }

  /** Lines for the terminal: the prompt as the host received it, and the answer as it sent it. */
  lines(): string[] {
    const listed = this.#sent.flatMap((ids, row) => [listIds(ids), ...(this.#masks[row] ? [listMask(this.#masks[row])] : [])]);
    const sent = [...listed, ...this.#numbersSent.map(listNumbers)];
    const received = this.#received.length > 0 || this.#numbersReceived.length === 0 ? [listIds(this.#received)] : [];
    const said = [...received, ...this.#numbersReceived.map(listNumbers)];
    const kind = this.#sent.length > 0 ? "ids under your key, no text" : "numbers under your key, no picture";
    return [
      ...sent.map((line) => `  host saw   ${line}`),
      ...said.map((line) => `  host said  ${line}`),
      `             (${this.#host}; ${kind})`,
    ];
  }
}

/** The first ids and how many there are. */
export function listIds(ids: readonly number[]): string {
  const shown = ids.slice(0, SHOWN).join(" ");
  return `${shown}${ids.length > SHOWN ? ` … ` : " "}(${ids.length} token${ids.length === 1 ? "" : "s"})`;
}

/** The first entries of a mask, and how many ids it lets through. */
function listMask(mask: readonly number[]): string {
  const own = mask.reduce((sum, bit) => sum + bit, 0);
  return `mask ${mask.slice(0, SHOWN).join(" ")}${mask.length > SHOWN ? " …" : ""} (${own} of ${mask.length})`;
}

/** The first numbers and how many there are. */
export function listNumbers(values: readonly number[]): string {
  const shown = values
    .slice(0, SHOWN_NUMBERS)
    .map((value) => value.toPrecision(4))
    .join(" ");
  return `${shown}${values.length > SHOWN_NUMBERS ? ` … ` : " "}(${values.length} number${values.length === 1 ? "" : "s"})`;
}
