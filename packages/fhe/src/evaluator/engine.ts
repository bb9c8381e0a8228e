/**
 * One evaluator in one thread: checks what came, loads it into SEAL, runs the program. It keeps contexts, encoded weights and
 * one tenant's keys.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Head } from "../layer.ts";
import { parametersId, type Parameters } from "../parameters.ts";
import type { Calibration } from "../plan.ts";
import type { Program } from "../program.ts";
import { SealContext } from "../seal/context.ts";
import { checkForm } from "../seal/form.ts";
import { Forms } from "../seal/forms.ts";
import type { Ciphertext, SwitchingKeys } from "../seal/library.ts";
import { calibrate } from "./calibrate.ts";
import { Constants } from "./constants.ts";
import type { EvaluationKeys, EvaluationResult, EvaluationTask } from "./evaluator.ts";
import { runProgram, type LoadedKeys } from "./run-program.ts";
import { track } from "./track.ts";

/** Memory that an engine takes on, so that a job is refused before SEAL runs out (CWE-770); WebAssembly ends at 4 GiB. */
export interface EngineLimits {
  /** Bytes of encoded weights that are kept. */
  readonly constantBytes: number;
  /** Bytes of keys of one session as SEAL holds them: twice what is sent. */
  readonly keyBytes: number;
  /** Sets of keys of one tenant that are kept. */
  readonly keySets: number;
  /** Bytes of the ciphertexts of one run. */
  readonly registerBytes: number;
}

/** Fits into 4 GiB together. */
export const defaultLimits: EngineLimits = { constantBytes: 512 << 20, keyBytes: 512 << 20, keySets: 2, registerBytes: 1024 << 20 };

/** Contexts that are kept: about 50 MiB each. */
const MAXIMUM_CONTEXTS = 6;
/** Heads that are kept compiled. */
const MAXIMUM_HEADS = 8;

/** A task whose head or keys can be left out where the engine holds them. */
export interface EngineTask extends Omit<EvaluationTask, "head" | "keys"> {
  readonly head: Head | null;
  readonly keys: EvaluationKeys | null;
}

/** What an engine holds, so that it need not be sent again. */
export interface Held {
  readonly tenant: string | null;
  readonly keys: readonly string[];
  /** As {@link headKey} names them. */
  readonly heads: readonly string[];
}

/** Names a compiled head: the program depends on the parameters too. */
export function headKey({ headId, parameters }: Pick<EvaluationTask, "headId" | "parameters">): string {
  return `${parametersId(parameters)} ${headId}`;
}

interface OpenContext {
  readonly context: SealContext;
  readonly forms: Forms;
}

interface KeySet extends LoadedKeys {
  /** What the keys are for: parameters and steps. */
  readonly purpose: string;
}

/** Makes a head a program; throws UnseenError CUT_UNAVAILABLE. */
export type Compile = (head: Head, parameters: Parameters) => Program;

export class Engine {
  readonly #compile: Compile;
  readonly #limits: EngineLimits;
  readonly #constants: Constants;
  readonly #contexts = new Map<string, OpenContext>();
  readonly #programs = new Map<string, Program>();
  readonly #keys = new Map<string, KeySet>();
  #tenant: string | null = null;

  constructor(compile: Compile, limits: EngineLimits = defaultLimits) {
    this.#compile = compile;
    this.#limits = limits;
    this.#constants = new Constants(limits.constantBytes);
  }

  get held(): Held {
    return { tenant: this.#tenant, keys: [...this.#keys.keys()], heads: [...this.#programs.keys()] };
  }

  /** Makes a context before it is needed. */
  async warm(parameters: Parameters): Promise<void> {
    await this.#context(parameters);
  }

  /**
   * @throws UnseenError CIPHERTEXT_INVALID, CUT_UNAVAILABLE or REQUEST_INVALID without harm; every other error is SEAL's, after
   *   which the instance must not be used any more
   */
  async evaluate(task: EngineTask): Promise<EvaluationResult> {
    const { context, forms } = await this.#context(task.parameters);
    const program = this.#program(task);
    this.#checkMemory(program, context);
    this.#forgetOtherTenants(task.tenant);

    const started = performance.now();
    const held = this.#heldKeys(task, program);
    const { keys } = task;
    checkCiphertexts(task.inputs, program, forms);
    if (!held) checkKeys(keys, program, forms);
    const validated = performance.now();

    const loaded = held ?? this.#loadKeys(task, program, context);
    const inputs = loadCiphertexts(task.inputs, context);
    const ready = performance.now();

    const outputs = runProgram({ context, constants: this.#constants, program, programId: headKey(task), keys: loaded }, inputs);
    const saved = outputs.map((output) => {
      const bytes = output.saveArray(context.seal.ComprModeType.none);
      output.delete();
      return bytes;
    });
    const done = performance.now();
    return {
      outputs: saved,
      seconds: { validate: (validated - started) / 1000, load: (ready - validated) / 1000, evaluate: (done - ready) / 1000 },
    };
  }

  async calibrate(parameters: Parameters): Promise<Calibration> {
    const { context, forms } = await this.#context(parameters);
    return calibrate(context, forms);
  }

  async #context(parameters: Parameters): Promise<OpenContext> {
    const id = parametersId(parameters);
    const kept = this.#contexts.get(id);
    if (kept) return touch(this.#contexts, id, kept);
    const oldest = this.#contexts.keys().next().value;
    if (oldest !== undefined && this.#contexts.size >= MAXIMUM_CONTEXTS) this.#closeContext(oldest);
    const context = await SealContext.open(parameters);
    return touch(this.#contexts, id, { context, forms: new Forms(context) });
  }

  #closeContext(id: string): void {
    this.#forgetKeys();
    for (const key of this.#programs.keys()) if (key.startsWith(`${id} `)) this.#forgetProgram(key);
    this.#contexts.get(id)?.context.close();
    this.#contexts.delete(id);
  }

  #program(task: EngineTask): Program {
    const key = headKey(task);
    const kept = this.#programs.get(key);
    if (kept) return touch(this.#programs, key, kept);
    if (!task.head) throw new UnseenError("INTERNAL", "a task came without its head.");
    const program = this.#compile(task.head, task.parameters);
    const oldest = this.#programs.keys().next().value;
    if (oldest !== undefined && this.#programs.size >= MAXIMUM_HEADS) this.#forgetProgram(oldest);
    return touch(this.#programs, key, program);
  }

  #forgetProgram(key: string): void {
    this.#programs.delete(key);
    this.#constants.drop(key);
  }

  #checkMemory(program: Program, context: SealContext): void {
    const { degree } = context.parameters;
    const keys = program.rotations.length + (program.relinearises ? 1 : 0);
    const keyBytes = keys * 2 * (context.top + 1) * (context.top + 2) * degree * 8;
    const registerBytes = peakBytes(program, context);
    if (keyBytes <= this.#limits.keyBytes && registerBytes <= this.#limits.registerBytes) return;
    throw new UnseenError(
      "CUT_UNAVAILABLE",
      `the program needs ${mebibytes(keyBytes)} of keys and ${mebibytes(registerBytes)} of ciphertexts; the evaluator takes ${mebibytes(this.#limits.keyBytes)} and ${mebibytes(this.#limits.registerBytes)}.`,
      { hint: "Choose an earlier cut." },
    );
  }

  #forgetOtherTenants(tenant: string): void {
    if (this.#tenant !== tenant) this.#forgetKeys();
    this.#tenant = tenant;
  }

  #forgetKeys(): void {
    for (const id of this.#keys.keys()) this.#forget(id);
  }

  #forget(id: string): void {
    const keys = this.#keys.get(id);
    keys?.relinearisation?.delete();
    keys?.rotation?.delete();
    this.#keys.delete(id);
  }

  #heldKeys({ keysId, parameters }: EngineTask, program: Program): LoadedKeys | null {
    const held = this.#keys.get(keysId);
    if (!held) return null;
    if (held.purpose === purposeOf(program, parameters)) return touch(this.#keys, keysId, held);
    throw new UnseenError("CIPHERTEXT_INVALID", "the session's keys were made for another program.", {
      hint: "Make a session for this program.",
    });
  }

  #loadKeys({ keysId, keys, parameters }: EngineTask, program: Program, context: SealContext): LoadedKeys {
    const oldest = this.#keys.keys().next().value;
    if (oldest !== undefined && this.#keys.size >= this.#limits.keySets) this.#forget(oldest);
    const { seal } = context;
    const load = (bytes: Uint8Array | null | undefined, empty: () => SwitchingKeys): SwitchingKeys | null => {
      if (!bytes) return null;
      const made = empty();
      made.loadArray(context.handle, bytes);
      return made;
    };
    const relinearisation = load(keys?.relinearisation, () => seal.RelinKeys());
    const rotation = load(keys?.rotation, () => seal.GaloisKeys());
    return touch(this.#keys, keysId, { relinearisation, rotation, purpose: purposeOf(program, parameters) });
  }
}

/** Moves an entry to the end of a map: the first is the one that was not used for longest. */
function touch<Value>(map: Map<string, Value>, key: string, value: Value): Value {
  map.delete(key);
  map.set(key, value);
  return value;
}

function purposeOf({ rotations, relinearises }: Program, parameters: Parameters): string {
  return `${parametersId(parameters)} ${relinearises} ${rotations.toSorted((left, right) => left - right).join()}`;
}

function checkCiphertexts(inputs: readonly Uint8Array[], program: Program, forms: Forms): void {
  if (inputs.length !== program.inputs)
    throw new UnseenError("CIPHERTEXT_INVALID", `the program takes ${program.inputs} ciphertexts; got ${inputs.length}.`, {
      hint: "Pack the picture with the program of the job.",
    });
  for (const input of inputs) checkForm(forms.input(), input);
}

function checkKeys(keys: EvaluationKeys | null, program: Program, forms: Forms): void {
  const needed = { relinearisation: program.relinearises, rotation: program.rotations.length > 0 };
  for (const kind of ["relinearisation", "rotation"] as const)
    if (Boolean(keys?.[kind]) !== needed[kind])
      throw new UnseenError(
        "CIPHERTEXT_INVALID",
        `the program needs ${needed[kind] ? "a" : "no"} ${kind} key; the session has ${needed[kind] ? "none" : "one"}.`,
        {
          hint: "Make a session for this program.",
        },
      );
  if (keys?.relinearisation) checkForm(forms.relinearisation(), keys.relinearisation);
  if (keys?.rotation) checkForm(forms.rotation(program.rotations), keys.rotation);
}

function loadCiphertexts(inputs: readonly Uint8Array[], { seal, handle }: SealContext): Ciphertext[] {
  return inputs.map((bytes) => {
    const ciphertext = seal.CipherText();
    ciphertext.loadArray(handle, bytes);
    return ciphertext;
  });
}

/** Bytes of the ciphertexts that a program holds at once, at most. */
function peakBytes(program: Program, context: SealContext): number {
  const places = track(program, context);
  const bytesOf = (register: number): number => 2 * ((places.get(register)?.level ?? 0) + 1) * context.parameters.degree * 8;
  const live = new Set(Array.from({ length: program.inputs }, (_, index) => index));
  let bytes = [...live].reduce((sum, register) => sum + bytesOf(register), 0);
  let peak = bytes;
  for (const operation of program.operations) {
    if (operation.operation === "free") {
      if (live.delete(operation.from)) bytes -= bytesOf(operation.from);
    } else {
      live.add(operation.to);
      bytes += bytesOf(operation.to);
    }
    peak = Math.max(peak, bytes);
  }
  return peak;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / (1 << 20))} MiB`;
}
