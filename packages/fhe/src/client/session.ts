/**
 * The client's side of one session: a fresh secret key that never leaves this object, encryption, decryption.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { EvaluationKeys } from "../evaluator/evaluator.ts";
import { trackResults } from "../evaluator/track.ts";
import { parametersId, type Parameters } from "../parameters.ts";
import type { Program } from "../program.ts";
import { SealContext } from "../seal/context.ts";
import { checkForm } from "../seal/form.ts";
import { Forms, type LevelAndScale } from "../seal/forms.ts";
import type { Decryptor, Encryptor, Freed, KeyGenerator } from "../seal/library.ts";

/** What the program needs keys for; a {@link Program} has both. */
export interface SessionNeeds {
  /** Steps of rotation. */
  readonly rotations: readonly number[];
  /** Whether ciphertexts are multiplied. */
  readonly relinearises: boolean;
}

interface Kept {
  readonly context: SealContext;
  readonly forms: Forms;
}

/** Contexts of this process: they hold no keys, and making one takes long. */
const contexts = new Map<string, Promise<Kept>>();

function contextOf(parameters: Parameters): Promise<Kept> {
  const id = parametersId(parameters);
  const kept = contexts.get(id) ?? SealContext.open(parameters).then((context) => ({ context, forms: new Forms(context) }));
  contexts.set(id, kept);
  kept.catch(() => contexts.delete(id));
  return kept;
}

/**
 * A secret key for one picture or a few, with all that is done with it. SEAL overwrites the key's memory at `close`.
 *
 * What `decrypt` returns must not leave the client as it is: CKKS's error tells about the key
 * (Li and Micciancio, EUROCRYPT 2021). `obfuscate` covers it.
 *
 * @example
 * ```ts
 * const session = await Session.create(program.parameters, program);
 * const inputs = program.pack(picture).map((slots) => session.encrypt(slots));
 * const forms = session.resultsOf(program);
 * // ... evaluate ...
 * const features = program.unpack(outputs.map((output, index) => session.decrypt(output, forms[index])));
 * session.close();
 * ```
 */
export class Session {
  readonly parameters: Parameters;
  readonly #context: SealContext;
  readonly #forms: Forms;
  readonly #needs: SessionNeeds;
  readonly #secret: Freed;
  readonly #generator: KeyGenerator;
  readonly #encryptor: Encryptor;
  readonly #decryptor: Decryptor;
  #closed = false;

  private constructor(parameters: Parameters, { context, forms }: Kept, needs: SessionNeeds) {
    const { seal, handle } = context;
    this.parameters = parameters;
    this.#context = context;
    this.#forms = forms;
    this.#needs = needs;
    this.#generator = seal.KeyGenerator(handle);
    this.#secret = this.#generator.secretKey();
    const publicKey = this.#generator.createPublicKey();
    this.#encryptor = seal.Encryptor(handle, publicKey, this.#secret);
    publicKey.delete();
    this.#decryptor = seal.Decryptor(handle, this.#secret);
  }

  /** Draws a key. @throws UnseenError REQUEST_INVALID for parameters that are not allowed */
  static async create(parameters: Parameters, needs: SessionNeeds): Promise<Session> {
    return new Session(parameters, await contextOf(parameters), needs);
  }

  /** Keys for whoever evaluates; large, and new randomness at each call, so call it once. */
  keys(): EvaluationKeys {
    this.#open();
    const { rotations, relinearises } = this.#needs;
    const save = (made: ReturnType<KeyGenerator["createRelinKeysSerializable"]>): Uint8Array => {
      const bytes = made.saveArray(this.#context.seal.ComprModeType.none);
      made.delete();
      return bytes;
    };
    return {
      relinearisation: relinearises ? save(this.#generator.createRelinKeysSerializable()) : null,
      rotation: rotations.length > 0 ? save(this.#generator.createGaloisKeysSerializable(Int32Array.from(rotations))) : null,
    };
  }

  /**
   * A ciphertext as it is sent: symmetric, its second half as a seed.
   *
   * @param slots at most (slots) numbers, whole ones for BFV; the rest is zero
   * @throws UnseenError REQUEST_INVALID for numbers that cannot be encoded
   */
  encrypt(slots: Float64Array): Uint8Array {
    this.#open();
    this.#context.checkValues(slots);
    const plaintext = this.#context.encode(slots, this.#context.scale);
    const ciphertext = this.#encryptor.encryptSymmetricSerializable(plaintext);
    const bytes = ciphertext.saveArray(this.#context.seal.ComprModeType.none);
    ciphertext.delete();
    plaintext.delete();
    return bytes;
  }

  /** Level and scale that the results of a program have, in their order. @throws UnseenError CUT_UNAVAILABLE if it cannot run */
  resultsOf(program: Program): LevelAndScale[] {
    return trackResults(program, this.#context);
  }

  /**
   * The numbers in a result.
   *
   * @param at what it must have by the program, of {@link Session.resultsOf}: the ciphertext's own word does not count
   * @returns (slots)
   * @throws UnseenError CIPHERTEXT_INVALID for bytes of another form, level or scale, and for a transparent ciphertext
   */
  decrypt(ciphertext: Uint8Array, at: LevelAndScale): Float64Array {
    this.#open();
    checkForm(this.#forms.result(at), ciphertext);
    const { seal, handle } = this.#context;
    const loaded = seal.CipherText();
    const plaintext = seal.PlainText();
    try {
      loaded.loadArray(handle, ciphertext);
      this.#decryptor.decrypt(loaded, plaintext);
      return this.#context.decode(plaintext);
    } finally {
      plaintext.delete();
      loaded.delete();
    }
  }

  /** Ends the session: its key is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const each of [this.#decryptor, this.#encryptor, this.#secret, this.#generator]) each.delete();
  }

  #open(): void {
    if (this.#closed) throw new UnseenError("USAGE", "the session is closed: its key is gone.", { hint: "Create another session." });
  }
}
