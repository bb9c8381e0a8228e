/**
 * Continuous batching: every decoding step takes one token of each running sequence and fills the rest of the batch
 * with prompt tokens of the sequences that are still reading (Orca, Yu et al., OSDI 2022; chunked prefill, Sarathi-Serve, OSDI 2024).
 * @module
 */
import type { NativeEngine } from "./native.ts";
import type { GenerateCommand, Report, TokenEvent } from "./protocol.ts";
import { SequenceSampler } from "./sampling.ts";

/** One sequence of the key-value cache. */
interface Slot {
  readonly index: number;
  /** Tokens whose keys and values are cached. */
  tokens: number[];
  salt: string;
  /** Step of the last use; the least recent free slot is taken where no prefix fits. */
  lastStep: number;
  work: Work | null;
}

interface Work {
  readonly command: GenerateCommand;
  readonly sampler: SequenceSampler;
  readonly stopIds: ReadonlySet<number>;
  readonly cachedTokens: number;
  /** Tokens still to be fed; the last one's logits give the next token. */
  pending: Uint32Array;
  readonly generated: number[];
  isCancelled: boolean;
}

export class Batcher {
  readonly #engine: NativeEngine;
  readonly #batchSize: number;
  readonly #report: (report: Report) => void;
  readonly #slots: Slot[];
  #arrivals: GenerateCommand[] = [];
  #isRunning = false;
  #step = 0;

  constructor(engine: NativeEngine, { sequences, batchSize }: { sequences: number; batchSize: number }, report: (report: Report) => void) {
    this.#engine = engine;
    this.#batchSize = Math.max(batchSize, sequences);
    this.#report = report;
    this.#slots = Array.from({ length: sequences }, (_, index) => ({ index, tokens: [], salt: "", lastStep: 0, work: null }));
    for (const { index } of this.#slots) engine.context.disposeSequence(index); // whatever the context held before
  }

  /** Takes a sequence; it starts at the next step that has a free slot. */
  generate(command: GenerateCommand): void {
    this.#arrivals.push(command);
    void this.#run();
  }

  /** Stops a sequence at the next step and frees its slot. Unknown ids have already ended. */
  cancel(id: number): void {
    this.#arrivals = this.#arrivals.filter((command) => command.id !== id);
    for (const { work } of this.#slots) if (work?.command.id === id) work.isCancelled = true;
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      // The cache may only be touched between steps: decoding runs on another thread.
      while (this.#admit()) await this.#decodeStep();
    } finally {
      this.#isRunning = false;
    }
  }

  /** Frees cancelled slots and fills free ones; false when nothing is left to do. */
  #admit(): boolean {
    for (const slot of this.#slots) if (slot.work?.isCancelled) this.#release(slot);
    while (this.#arrivals.length > 0) {
      const slot = this.#chooseSlot(this.#arrivals[0]!);
      if (slot === null) break;
      const command = this.#arrivals.shift()!;
      try {
        this.#start(slot, command);
      } catch {
        this.#abandon([slot]);
        this.#report({ type: "failed", ids: [command.id] });
      }
    }
    return this.#slots.some(({ work }) => work !== null);
  }

  /** The free slot with the longest shared prefix, else the one unused for longest. */
  #chooseSlot(command: GenerateCommand): Slot | null {
    const free = this.#slots.filter(({ work }) => work === null);
    let best: Slot | null = null;
    let bestShared = -1;
    for (const slot of free) {
      const shared = sharedPrefix(slot, command);
      if (best === null || shared > bestShared || (shared === bestShared && slot.lastStep < best.lastStep))
        [best, bestShared] = [slot, shared];
    }
    return best;
  }

  #start(slot: Slot, command: GenerateCommand): void {
    const cachedTokens = this.#keepPrefix(slot, sharedPrefix(slot, command));
    slot.salt = command.salt;
    slot.work = {
      command,
      sampler: new SequenceSampler(this.#engine, command),
      stopIds: new Set(command.stopIds),
      cachedTokens,
      pending: command.prompt.subarray(cachedTokens),
      generated: [],
      isCancelled: false,
    };
  }

  /** Cuts a slot's cache to `length` tokens and returns how many could be kept. */
  #keepPrefix(slot: Slot, length: number): number {
    const { context, slidingWindow } = this.#engine;
    if (length === slot.tokens.length) return length;
    // A sliding-window cache has forgotten early cells that a position inside the prefix would still look at.
    const oldest = Math.max(0, context.getSequenceKvCacheMinPosition(slot.index));
    const isWhole = oldest <= Math.max(0, length - (slidingWindow ?? 0));
    if (length > 0 && isWhole && context.removeTokenCellsFromSequence(slot.index, length, slot.tokens.length)) {
      slot.tokens.length = length;
      return length;
    }
    context.disposeSequence(slot.index);
    slot.tokens.length = 0;
    return 0;
  }

  async #decodeStep(): Promise<void> {
    this.#step++;
    const shares = this.#shareBatch();
    const { context } = this.#engine;
    const drawing: { slot: Slot; work: Work; batchPosition: number }[] = [];
    try {
      context.initBatch(shares.reduce((total, { count }) => total + count, 0));
      for (const { slot, work, count } of shares) {
        const isComplete = count === work.pending.length;
        const tokens = work.pending.slice(0, count);
        const positions = context.addToBatch(
          slot.index,
          slot.tokens.length,
          tokens,
          isComplete ? Uint32Array.of(count - 1) : new Uint32Array(),
        );
        slot.lastStep = this.#step;
        for (const token of tokens) slot.tokens.push(token);
        work.pending = work.pending.subarray(count);
        if (isComplete) drawing.push({ slot, work, batchPosition: positions[0]! });
      }
      await context.decodeBatch();
      const drawn = await Promise.all(drawing.map(({ work, batchPosition }) => work.sampler.draw(context, batchPosition, work.generated)));
      const events: TokenEvent[] = [];
      drawing.forEach(({ slot, work }, index) => {
        if (!work.isCancelled) events.push(this.#advance(slot, work, drawn[index]!));
      });
      if (events.length > 0) this.#report({ type: "step", events });
    } catch {
      // llama.cpp's message may name tokens: only the ids of the requests leave this process.
      const slots = shares.map(({ slot }) => slot);
      const ids = shares.map(({ work }) => work.command.id);
      this.#abandon(slots);
      this.#report({ type: "failed", ids });
    }
  }

  /** Who feeds how many tokens in this step: running sequences first, then prompts in order of arrival. */
  #shareBatch(): { slot: Slot; work: Work; count: number }[] {
    const busy = this.#slots
      .flatMap((slot) => (slot.work === null ? [] : [{ slot, work: slot.work }]))
      .toSorted(
        (left, right) =>
          Number(left.work.generated.length === 0) - Number(right.work.generated.length === 0) ||
          left.work.command.id - right.work.command.id,
      );
    let room = this.#batchSize;
    const shares = [];
    for (const { slot, work } of busy) {
      const count = Math.min(work.pending.length, room);
      if (count === 0) break;
      room -= count;
      shares.push({ slot, work, count });
    }
    return shares;
  }

  #advance(slot: Slot, work: Work, drawn: Awaited<ReturnType<SequenceSampler["draw"]>>): TokenEvent {
    const { command, generated } = work;
    const isFirst = generated.length === 0;
    generated.push(drawn.token);
    work.pending = Uint32Array.of(drawn.token);
    const finish = work.stopIds.has(drawn.token) ? "stop" : generated.length >= command.maximumTokens ? "length" : null;
    if (finish !== null) this.#release(slot);
    return { id: command.id, ...drawn, ...(finish === null ? {} : { finish }), ...(isFirst ? { cachedTokens: work.cachedTokens } : {}) };
  }

  #release(slot: Slot): void {
    slot.work?.sampler.dispose();
    slot.work = null;
  }

  /** Releases slots whose cache is in an unknown state. */
  #abandon(slots: readonly Slot[]): void {
    for (const slot of slots) {
      this.#release(slot);
      this.#engine.context.disposeSequence(slot.index);
      slot.tokens.length = 0;
    }
  }
}

/** Tokens that need not be read again. At least one token of the prompt is always fed: its logits are the answer. */
function sharedPrefix(slot: Slot, { salt, prompt }: GenerateCommand): number {
  if (slot.salt !== salt) return 0;
  const limit = Math.min(slot.tokens.length, prompt.length - 1);
  let length = 0;
  while (length < limit && slot.tokens[length] === prompt[length]) length++;
  return length;
}
