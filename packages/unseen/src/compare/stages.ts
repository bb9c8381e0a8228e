/**
 * Several stages of one work as one progress: each has a bar with its own words, and all share one scale.
 * @module
 */
import type { Progress, Terminal } from "../terminal.ts";

export interface Stage {
  /** For a person. */
  readonly label: string;
  /** Steps that it takes. */
  readonly steps: number;
  /** About how long one takes, relative to the others'. */
  readonly weight: number;
}

export class Stages<Name extends string> {
  readonly #terminal: Terminal;
  readonly #stages: Readonly<Record<Name, Stage>>;
  readonly #total: number;

  constructor(terminal: Terminal, stages: Readonly<Record<Name, Stage>>) {
    this.#terminal = terminal;
    this.#stages = stages;
    this.#total = lengthOf(Object.values<Stage>(stages));
  }

  /** Does the work of one stage, which calls `step` after each of its steps. */
  async run<T>(name: Name, work: (step: () => void) => Promise<T>): Promise<T> {
    const names = Object.keys(this.#stages) as Name[];
    const stage = this.#stages[name];
    let done = lengthOf(names.slice(0, names.indexOf(name)).map((before) => this.#stages[before]));
    const bar: Progress = this.#terminal.progress(stage.label);
    bar.update(done, this.#total);
    try {
      return await work(() => bar.update((done += stage.weight), this.#total));
    } finally {
      bar.end();
    }
  }
}

function lengthOf(stages: readonly Stage[]): number {
  return stages.reduce((sum, { steps, weight }) => sum + steps * weight, 0);
}
