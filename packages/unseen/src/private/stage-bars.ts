/**
 * The stages of a private run as they pass: a bar each, and a detail as each ends.
 * @module
 */
import type { Stage } from "@unseen/hub/user/private-session.ts";
import type { Progress, Terminal } from "../terminal.ts";

/** One bar at a time. */
export class StageBars {
  readonly #terminal: Terminal;
  #stage = "";
  #bar: Progress | null = null;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** A stage begins or moves on; `total` 0 = unknown. */
  update(stage: string, done: number, total: number): void {
    if (stage !== this.#stage) {
      this.#bar?.end();
      this.#bar = this.#terminal.progress(stage.padEnd(24));
      this.#stage = stage;
      // A bar of unknown length is drawn nowhere, but whoever is told details sees that the stage has begun.
      if (this.#terminal.detailed) this.#bar.update(0, 0);
    } else if (total > 0) this.#bar!.update(done, total);
    if (total === 1 && done === 1) this.#bar!.end();
  }

  /** A stage has ended. */
  end(stage: Stage): void {
    this.#terminal.detail("stage", stage);
  }
}
