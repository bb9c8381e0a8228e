/**
 * The forms that a context's ciphertexts and keys have, learnt from ones that it makes under a key of its own.
 * @module
 */
import { fullForm, relinearisationForm, rotationForm, seededForm, type Form } from "./form.ts";
import type { SealContext } from "./context.ts";
import type { Freed } from "./library.ts";

/** Where a ciphertext stands in the chain of primes, and what it was multiplied with before rounding. */
export interface LevelAndScale {
  /** Primes left besides the first. */
  readonly level: number;
  /** 1 for BFV. */
  readonly scale: number;
}

/** Makes forms when they are first needed, and keeps them: they hold nothing of the key that they were learnt from. */
export class Forms {
  readonly #context: SealContext;
  readonly #kept = new Map<string, Form>();
  #relinearisation: { readonly own: Uint8Array; readonly form: Form } | undefined;

  constructor(context: SealContext) {
    this.#context = context;
  }

  /** Ciphertexts that a client sends. */
  input(): Form {
    return this.#keep("input", () => {
      const { primes, parameters } = this.#context;
      return seededForm("an input ciphertext", this.#sample().seeded, parameters.degree, primes);
    });
  }

  /** Ciphertexts that an evaluation returns. */
  result({ level, scale }: LevelAndScale): Form {
    return this.#keep(`${level}/${scale}`, () => {
      const { primes, parameters } = this.#context;
      return fullForm("a result ciphertext", this.#sample({ level, scale }).full, parameters.degree, primes.slice(0, level + 1));
    });
  }

  relinearisation(): Form {
    return this.#switching().form;
  }

  /** Keys for exactly these steps. */
  rotation(steps: readonly number[]): Form {
    const { own } = this.#switching();
    return rotationForm(own, this.#context.parameters.degree, this.#keyPrimes, steps);
  }

  get #keyPrimes(): readonly bigint[] {
    return [...this.#context.primes, this.#context.keyPrime];
  }

  #keep(id: string, make: () => Form): Form {
    const kept = this.#kept.get(id);
    if (kept) return kept;
    const made = make();
    this.#kept.set(id, made);
    return made;
  }

  #switching(): { readonly own: Uint8Array; readonly form: Form } {
    return (this.#relinearisation ??= this.#learnSwitching());
  }

  #learnSwitching(): { readonly own: Uint8Array; readonly form: Form } {
    const { seal, handle, parameters } = this.#context;
    const generator = seal.KeyGenerator(handle);
    const made = generator.createRelinKeysSerializable();
    const own = made.saveArray(seal.ComprModeType.none);
    made.delete();
    generator.delete();
    return { own, form: relinearisationForm(own, parameters.degree, this.#keyPrimes) };
  }

  /** A one, encrypted under a key that is forgotten at once. */
  #sample(at?: LevelAndScale): { seeded: Uint8Array; full: Uint8Array } {
    const context = this.#context;
    const { seal, handle } = context;
    const none = seal.ComprModeType.none;
    const freed: Freed[] = [];
    const keep = <Made extends Freed>(made: Made): Made => {
      freed.push(made);
      return made;
    };
    try {
      const generator = keep(seal.KeyGenerator(handle));
      const encryptor = keep(seal.Encryptor(handle, keep(generator.createPublicKey()), keep(generator.secretKey())));
      const one = keep(context.encode(Float64Array.of(1), context.scale));
      const seeded = keep(encryptor.encryptSymmetricSerializable(one)).saveArray(none);
      const full = keep(seal.CipherText());
      encryptor.encryptSymmetric(one, full);
      if (at) {
        if (at.level < context.top) context.evaluator.cipherModSwitchTo(full, context.level(at.level), full);
        full.setScale(at.scale);
      }
      return { seeded, full: full.saveArray(none) };
    } finally {
      for (const each of freed) each.delete();
    }
  }
}
