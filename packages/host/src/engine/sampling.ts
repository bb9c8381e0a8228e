/**
 * Turns a request's sampling into llama.cpp's sampler chain: bias, penalties, top-k, top-p, min-p, temperature, draw.
 *
 * The order of the truncations is llama.cpp's: before temperature, where vLLM has it after. Top-k does not care; min-p is
 * corrected here exactly; top-p below 1 keeps the nucleus of the untempered distribution, which docs/reference/host-api.md says.
 * @module
 */
import type { LogitFilter, NativeContext, NativeEngine, NativeSampler } from "./native.ts";
import type { GenerateCommand, TokenLogprobs } from "./protocol.ts";

/** Smallest log-probability that is reported; JSON has no infinity. vLLM's figure. */
const LOWEST_LOGPROB = -9999;

/** Draws the tokens of one sequence. */
export class SequenceSampler {
  readonly #command: GenerateCommand;
  readonly #sampler: NativeSampler;
  /** Sees the logits as the model gave them; null where no log-probabilities were asked for. */
  readonly #observer: NativeSampler | null;
  #forbidsStopping: boolean;

  constructor(engine: NativeEngine, command: GenerateCommand) {
    this.#command = command;
    this.#sampler = engine.createSampler();
    this.#forbidsStopping = command.minimumTokens > 0;
    this.#sampler.applyConfig(this.#configuration(this.#penaltyHistory([])));
    this.#observer = command.logprobs === null ? null : engine.createSampler();
    this.#observer?.applyConfig({ temperature: 0, seed: 0 });
  }

  /**
   * The next token from the logits at `batchPosition`.
   * @param generated tokens drawn so far, for the penalties
   */
  async draw(
    context: NativeContext,
    batchPosition: number,
    generated: readonly number[],
  ): Promise<{ token: number; logprobs?: TokenLogprobs }> {
    if (this.#forbidsStopping && generated.length >= this.#command.minimumTokens) {
      this.#forbidsStopping = false;
      this.#sampler.applyConfig(this.#configuration(this.#penaltyHistory(generated)));
    }
    const token = await context.sampleToken(batchPosition, this.#sampler);
    if (token < 0) throw new Error("the sampler kept no token.");
    if (this.#observer === null) return { token };
    return { token, logprobs: await this.#observe(context, batchPosition, token) };
  }

  dispose(): void {
    this.#sampler.dispose();
    this.#observer?.dispose();
  }

  async #observe(context: NativeContext, batchPosition: number, token: number): Promise<TokenLogprobs> {
    const count = this.#command.logprobs ?? 0;
    const filter: LogitFilter = [[token], false, false, true, count];
    // The observer is greedy, so its own choice is the maximum that the weights are relative to.
    const [best, , , pairs = [], weight = 1] = await context.sampleToken(batchPosition, this.#observer!, false, false, filter, true);
    const logits = new Map<number, number>();
    for (let index = 0; index < pairs.length; index += 2) logits.set(pairs[index]!, pairs[index + 1]!);
    const normaliser = (logits.get(best) ?? 0) + Math.log(weight);
    const logprob = (id: number): number => Math.max((logits.get(id) ?? -Infinity) - normaliser, LOWEST_LOGPROB);
    const topIds = [...logits.keys()].toSorted((left, right) => logits.get(right)! - logits.get(left)!).slice(0, count);
    return { chosen: logprob(token), topIds, topValues: topIds.map(logprob) };
  }

  #configuration(history: Uint32Array): Parameters<NativeSampler["applyConfig"]>[0] {
    const { sampling, stopIds } = this.#command;
    const greedy = sampling.temperature === 0;
    const bias = new Map<number, number>();
    for (let index = 0; index < sampling.biasIds.length; index++) bias.set(sampling.biasIds[index]!, sampling.biasValues[index]!);
    if (this.#forbidsStopping) for (const id of stopIds) bias.set(id, -Infinity);
    const penalises = sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0 || sampling.repetitionPenalty !== 1;
    return {
      temperature: sampling.temperature,
      seed: sampling.seed,
      ...(sampling.topK > 0 && !greedy ? { topK: sampling.topK } : {}),
      ...(sampling.topP < 1 && !greedy ? { topP: sampling.topP } : {}),
      // p/p_max >= m after temperature T is p/p_max >= m^T before it.
      ...(sampling.minP > 0 && !greedy ? { minP: sampling.minP ** sampling.temperature } : {}),
      ...(bias.size > 0 ? { tokenBiasKeys: Uint32Array.from(bias.keys()), tokenBiasValues: Float32Array.from(bias.values()) } : {}),
      ...(penalises
        ? {
            repeatPenalty: sampling.repetitionPenalty,
            repeatPenaltyPresencePenalty: sampling.presencePenalty,
            repeatPenaltyFrequencyPenalty: sampling.frequencyPenalty,
            repeatPenaltyTokens: history,
            // The sampler notes each token that it draws; the ring must hold all of them.
            repeatPenaltyMaxTokens: this.#command.prompt.length + this.#command.maximumTokens,
          }
        : {}),
    };
  }

  /**
   * Presence and frequency count generated tokens, repetition also the prompt's (as vLLM has it). llama.cpp keeps one
   * history for all three, so where they meet, the repetition penalty gives way and counts generated tokens too.
   */
  #penaltyHistory(generated: readonly number[]): Uint32Array {
    const { sampling, prompt } = this.#command;
    const countsPrompt = sampling.presencePenalty === 0 && sampling.frequencyPenalty === 0;
    return countsPrompt ? Uint32Array.from([...prompt, ...generated]) : Uint32Array.from(generated);
  }
}
