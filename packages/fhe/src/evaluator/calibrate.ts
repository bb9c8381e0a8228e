/**
 * Measures what operations take on this machine, so that a plan's seconds are this machine's.
 * @module
 */
import { parametersId } from "../parameters.ts";
import type { Calibration } from "../plan.ts";
import type { SealContext } from "../seal/context.ts";
import { checkForm } from "../seal/form.ts";
import type { Forms } from "../seal/forms.ts";
import type { Ciphertext, Encryptor, Freed } from "../seal/library.ts";

/** The fastest of so many counts: what disturbs only slows down. */
const REPETITIONS = 3;

/**
 * Seconds per operation and level, under a key of its own; under 2 seconds for a degree of 8192.
 *
 * For BFV `rotate` and `rescale` are 0, because programs have none, and `load` includes the way into NTT form.
 */
export function calibrate(context: SealContext, forms: Forms): Calibration {
  const freed: Freed[] = [];
  const keep = <Made extends Freed>(made: Made): Made => {
    freed.push(made);
    return made;
  };
  try {
    return measure(context, forms, keep);
  } finally {
    for (const each of freed) each.delete();
  }
}

function measure(context: SealContext, forms: Forms, keep: <Made extends Freed>(made: Made) => Made): Calibration {
  const { seal, handle, evaluator, top, parameters } = context;
  const none = seal.ComprModeType.none;
  const integers = parameters.scheme === "bfv";
  const values = Float64Array.from({ length: parameters.degree / 2 }, (_, index) => (index % 7) - 3);
  const generator = keep(seal.KeyGenerator(handle));
  const encryptor: Encryptor = keep(seal.Encryptor(handle, keep(generator.createPublicKey()), keep(generator.secretKey())));
  const plaintext = keep(context.encode(values, context.scale));
  const sent = keep(encryptor.encryptSymmetricSerializable(plaintext)).saveArray(none);
  const relinearisation = keep(generator.createRelinKeysSerializable()).saveArray(none);
  const relinearisationKeys = keep(seal.RelinKeys());
  const loadKey = fastest(() => {
    checkForm(forms.relinearisation(), relinearisation);
    relinearisationKeys.loadArray(handle, relinearisation);
  });
  const rotationKeys = keep(seal.GaloisKeys());
  if (!integers) rotationKeys.loadArray(handle, keep(generator.createGaloisKeysSerializable(Int32Array.of(1))).saveArray(none));
  const fresh = keep(seal.CipherText());
  const to = keep(seal.CipherText());
  const load = fastest(() => {
    checkForm(forms.input(), sent);
    fresh.loadArray(handle, sent);
    if (integers) evaluator.cipherTransformToNtt(fresh, to);
  });

  const rows = Array.from({ length: top + 1 }, (_, level) => {
    const at = context.level(level);
    const own = keep(seal.CipherText());
    evaluator.cipherModSwitchTo(fresh, at, own);
    const factor = keep(seal.PlainText());
    const encode = fastest(() => {
      const made = context.encode(values, context.scale);
      if (integers) evaluator.plainTransformToNtt(made, at, factor);
      else evaluator.plainModSwitchTo(made, at, factor);
      made.delete();
    });
    const ntt = keep(seal.CipherText());
    if (integers) evaluator.cipherTransformToNtt(own, ntt);
    const multiplied = integers ? ntt : own;
    // a scale of one, so that the product fits at the last level too
    const one = (ciphertext: Ciphertext): Ciphertext => (ciphertext.setScale(1), ciphertext);
    const product = keep(seal.CipherText());
    return {
      encode,
      multiplyPlain: fastest(() => evaluator.multiplyPlain(one(multiplied), factor, to)),
      add: fastest(() => evaluator.add(own, own, to)),
      multiply: fastest(() => evaluator.square(one(own), product)),
      relinearise: fastest(() => evaluator.relinearize(product, relinearisationKeys, to)),
      rotate: integers ? 0 : fastest(() => evaluator.rotateVector(own, 1, rotationKeys, to)),
      rescale: integers || level === 0 ? 0 : fastest(() => evaluator.rescaleToNext(own, to)),
    };
  });
  const column = (name: keyof (typeof rows)[number]): number[] => rows.map((row) => row[name]);
  return {
    parameters: parametersId(parameters),
    encode: column("encode"),
    multiplyPlain: column("multiplyPlain"),
    add: column("add"),
    multiply: column("multiply"),
    relinearise: column("relinearise"),
    rotate: column("rotate"),
    rescale: column("rescale"),
    load,
    loadKey,
  };
}

/** Seconds. */
function fastest(work: () => void): number {
  let best = Infinity;
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const started = performance.now();
    work();
    best = Math.min(best, performance.now() - started);
  }
  return best / 1000;
}
