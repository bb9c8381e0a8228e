/**
 * Keeps what crosses the border to a host, for showing it to the key holder.
 * @module
 */
import type { Engine, GenerateRequest, GeneratedChunk, HostFacts } from "./engine.ts";

/** The ids that one request carried out and its answer carried in; cipher ids, as the host saw them. */
export interface Crossing {
  readonly host: string;
  readonly sent: readonly number[];
  readonly received: number[];
}

/** An engine that hands every crossing to a callback when its request starts; `received` grows while the answer comes. */
export class RecordingEngine implements Engine {
  readonly url: string;
  readonly #engine: Engine;
  readonly #onCrossing: (crossing: Crossing) => void;

  constructor(engine: Engine, onCrossing: (crossing: Crossing) => void) {
    this.url = engine.url;
    this.#engine = engine;
    this.#onCrossing = onCrossing;
  }

  probe(signal?: AbortSignal): Promise<HostFacts> {
    return this.#engine.probe(signal);
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GeneratedChunk> {
    const crossing: Crossing = { host: this.url, sent: [...request.prompt], received: [] };
    this.#onCrossing(crossing);
    for await (const chunk of this.#engine.generate(request, signal)) {
      crossing.received.push(...chunk.ids);
      yield chunk;
    }
  }
}
