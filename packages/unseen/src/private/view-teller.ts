/**
 * Tells whoever watches a private run what each party has got, as a picture, as soon as it has got it.
 * @module
 */
import type { Verified } from "@unseen/attest/verify-evidence.ts";
import type { Shape } from "@unseen/fhe/layer.ts";
import { encodeFeatures } from "@unseen/hub/features-message.ts";
import type { Seen, Sight } from "@unseen/hub/user/private-session.ts";
import { drawBytes, drawFeatures, drawPicture } from "@unseen/hub/user/views.ts";
import type { Terminal } from "../terminal.ts";

/** What is told of one party, `{kind: "view"}`. */
interface View {
  readonly party: "user" | keyof Seen;
  /** Base64 of a PNG. */
  readonly png: string;
  /** Bytes that it has got. */
  readonly bytes: number;
  readonly note?: string;
}

/** Draws nothing where nobody gets details. */
export class ViewTeller {
  readonly #terminal: Terminal;
  #features: Shape | null = null;
  /** Drawing takes a moment; views are told in order. */
  #told: Promise<void> = Promise.resolve();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** The shape of what the creator gets. */
  featuresAre(shape: Shape): void {
    this.#features = shape;
  }

  tellEnclave({ kind, measurement, tcbStatus, advisories, warnings }: Verified): void {
    this.#terminal.detail("enclave", { kind, simulated: kind === "simulator", measurement, tcbStatus, advisories, warnings });
  }

  /** The user's own picture: bytes (channels, height, width). */
  tellUser(bytes: Uint8Array, shape: Shape): void {
    this.#tell({ party: "user", bytes: bytes.length }, () => drawPicture(bytes, shape));
  }

  /** What another party has got. */
  tellOther({ party, seen }: Sight): void {
    if (party === "hub") return this.#tell({ party, bytes: seen.length, note: "sealed bytes" }, () => drawBytes(seen));
    if (party === "enclave") {
      const [first] = seen;
      const note = `${seen.length} ciphertext${seen.length === 1 ? "" : "s"}; the first is drawn`;
      if (first) this.#tell({ party, bytes: seen.reduce((sum, { length }) => sum + length, 0), note }, () => drawBytes(first));
      return;
    }
    const shape = this.#features;
    if (shape) this.#tell({ party, bytes: encodeFeatures(seen).length, note: "features with noise" }, () => drawFeatures(seen, shape));
  }

  /** Resolves when all views so far are told; drawing that failed is said. */
  async whenTold(): Promise<void> {
    await this.#told;
  }

  #tell(view: Omit<View, "png">, draw: () => Promise<Uint8Array>): void {
    if (!this.#terminal.detailed) return;
    this.#told = this.#told.then(async () => {
      try {
        const value: View = { ...view, png: Buffer.from(await draw()).toString("base64") };
        this.#terminal.detail("view", value);
      } catch (error) {
        this.#terminal.note(`The view of the ${view.party} cannot be drawn: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
  }
}
