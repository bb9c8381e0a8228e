/**
 * Weights as plaintexts, kept between evaluations: encoding them takes longer than multiplying with them.
 * @module
 */
import type { Plaintext } from "../seal/library.ts";

interface Kept {
  readonly plaintext: Plaintext;
  readonly bytes: number;
  readonly program: string;
}

/** A cache with a limit in bytes. Of one program that does not fit, the first constants stay: dropping the oldest would keep none. */
export class Constants {
  readonly #limit: number;
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of the plaintexts that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Calls `use` with a plaintext that is only valid meanwhile.
   *
   * @param program whose constant it is
   * @param id names the constant with its level and scale, within the program
   * @param bytes what it takes
   */
  with<Result>(program: string, id: string, bytes: number, make: () => Plaintext, use: (plaintext: Plaintext) => Result): Result {
    const key = `${program}/${id}`;
    const kept = this.#kept.get(key);
    if (kept) return use(kept.plaintext);
    const plaintext = make();
    if (this.#makeRoom(program, bytes)) {
      this.#kept.set(key, { plaintext, bytes, program });
      this.#bytes += bytes;
      return use(plaintext);
    }
    try {
      return use(plaintext);
    } finally {
      plaintext.delete();
    }
  }

  /** Drops the constants of a program. */
  drop(program: string): void {
    for (const [key, kept] of this.#kept) if (kept.program === program) this.#delete(key, kept);
  }

  clear(): void {
    for (const [key, kept] of this.#kept) this.#delete(key, kept);
  }

  #makeRoom(program: string, bytes: number): boolean {
    for (const [key, kept] of this.#kept) {
      if (this.#bytes + bytes <= this.#limit) break;
      if (kept.program !== program) this.#delete(key, kept);
    }
    return this.#bytes + bytes <= this.#limit;
  }

  #delete(key: string, kept: Kept): void {
    kept.plaintext.delete();
    this.#bytes -= kept.bytes;
    this.#kept.delete(key);
  }
}
