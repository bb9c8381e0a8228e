/**
 * Tokens a second at several round trips, kernels, and what that makes of a 7B model.
 * @module
 */
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import type { Layout } from "@unseen/shares/layout.ts";
import type { Multiplier } from "@unseen/shares/multiplier.ts";
import { KernelMultiplier } from "@unseen/shares/ring/kernel-multiplier.ts";
import { WeightStore } from "@unseen/shares/ring/multiply.ts";
import { best } from "@unseen/shares/sampling/sample.ts";
import { openShareDirectory } from "@unseen/shares/model/share-directory.ts";
import { connectTo, decoders, serveBoth, splitModel } from "./shares-setup.ts";
import { delayedLine } from "unseen/compare/delayed-line.ts";
import { median } from "../bench/measure.ts";
import type { Finding } from "./proof.ts";

const ROUND_TRIPS = [0, 1, 10, 40]; // ms
const TOKENS = 12;
const PROMPT = [1, 5, 9, 13, 17, 21, 25, 29];

/** A model's speed at one distance of its servers. */
export interface Distance {
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Median seconds of a generated token. */
  readonly seconds: number;
  /** Bytes of frames to and from both servers, per token. */
  readonly bytes: number;
}

export interface Speeds {
  readonly name: string;
  /** Groups of layers, each a round trip. */
  readonly groups: number;
  /** Median seconds of a token without protection, on the servers' kernels in this process. */
  readonly plain: number;
  readonly distances: readonly Distance[];
}

/** Generates with the first decoder that is here, without protection and on two local servers behind lines of several lengths. */
export async function measureSpeeds(note: (line: string) => void = () => {}): Promise<Speeds> {
  const { name, path } = decoders()[0]!;
  const shared = await splitModel(name, path, 8);
  const decoder = await ShareDecoder.open(shared.client);
  const pair = await serveBoth(shared);
  const { read } = await openShareDirectory(shared.directories[0]);
  const widths = new Map(shared.layout.groups.flatMap((group) => group.layers.map((layer) => [layer.name, group.in] as const)));
  const store = WeightStore.load(shared.layout, (layer, limb, first, into) => {
    const start = first * widths.get(layer)!;
    into.set(read(layer, limb).subarray(start, start + into.length));
  });
  const plain = await tokenSeconds(decoder, new KernelMultiplier(shared.layout, store));
  const distances: Distance[] = [];
  try {
    for (const roundTrip of ROUND_TRIPS) {
      note(`round trip ${roundTrip} ms`);
      const lines = [await delayedLine(pair.urls[0], roundTrip), await delayedLine(pair.urls[1], roundTrip)] as const;
      const remote = await connectTo(shared, [lines[0].url, lines[1].url]);
      const before = traffic(remote);
      const seconds = await tokenSeconds(decoder, remote);
      distances.push({ roundTrip, seconds, bytes: Math.round((traffic(remote) - before) / (PROMPT.length + TOKENS - 1)) });
      remote.close();
      await Promise.all(lines.map((line) => line.close()));
    }
  } finally {
    await pair.stop();
  }
  return { name, groups: shared.layout.groups.length, plain, distances };
}

export async function* speedFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const { name, groups, plain, distances } = await measureSpeeds(note);
  yield {
    claim: `${name}: tokens a second without protection, on the servers' kernels in one process`,
    figure: (1 / plain).toFixed(0),
    bar: "-",
    holds: true,
  };
  for (const { roundTrip, seconds, bytes } of distances) {
    yield {
      claim: `${name}: two servers at ${roundTrip} ms round trip`,
      figure: `${(1 / seconds).toFixed(1)} tokens a second (${(1000 * seconds).toFixed(0)} ms each, ${groups} round trips), ${bytes} bytes a token; ${(seconds / plain).toFixed(0)} times as long as without protection`,
      bar: "-",
      holds: true,
    };
  }
  const [near] = distances as [Distance];
  const deviations = distances
    .slice(1)
    .map(({ roundTrip, seconds }) => Math.abs(seconds / (near.seconds + (groups * roundTrip) / 1000) - 1));
  yield {
    claim: "The model on paper: seconds a token = seconds without delay + groups x round trip; largest deviation of the measurements",
    figure: `${(100 * Math.max(...deviations)).toFixed(0)} %`,
    bar: "below 30 %",
    holds: Math.max(...deviations) < 0.3,
  };
  const rates = kernelRates();
  for (const { shape, rate } of rates) {
    yield {
      claim: `Kernel, WebAssembly, one thread, int8 weights x 32-bit shares: ${shape}`,
      figure: `${rate.toFixed(1)} GMAC/s`,
      bar: "-",
      holds: true,
    };
  }
  for (const gigabits of [1, 10]) yield sevenBillion(gigabits, rates[0]!.rate);
  yield {
    claim: "Published two-party systems, as their papers report them",
    figure:
      "PUMA (2307.12533), three parties: LLaMA-7B about 5 minutes a token; BumbleBee (NDSS 2025): LLaMA-7B about 8 minutes a token on CPUs; SIGMA (eprint 2023/1269), GPUs and a dealer: LLaMA2-13B 44 s; PermLLM (2405.18744): ChatGLM-6B about 3 s a token, its privacy since broken. None of them lets the client see activations, as this protocol does: there the client is not trusted with the model, here it is",
    bar: "-",
    holds: null,
  };
}

function traffic(remote: { statistics(): { servers: readonly { sent: number; received: number }[] } }): number {
  return remote.statistics().servers.reduce((sum, { sent, received }) => sum + sent + received, 0);
}

/** Median seconds of a generated token. */
async function tokenSeconds(decoder: ShareDecoder, multiplier: Multiplier): Promise<number> {
  const state = decoder.start();
  let pending: readonly number[] = PROMPT;
  const seconds: number[] = [];
  for (let token = 0; token < TOKENS; token += 1) {
    const started = performance.now();
    const row = await decoder.step(state, pending, multiplier);
    if (token > 0) seconds.push((performance.now() - started) / 1000);
    pending = [best(row)];
  }
  return median(seconds);
}

/** Products of the servers' kernel. */
export function kernelRates(): { shape: string; rate: number }[] {
  return [
    [1, 2048, 2048],
    [256, 768, 768],
  ].map(([count, width, out]) => {
    const layout: Layout = {
      format: "unseen-shares/1",
      fingerprint: "kernel",
      limbs: 1,
      groups: [{ name: "group", in: width!, layers: [{ name: "layer", out: out! }] }],
    };
    const store = WeightStore.load(layout, (_layer, _limb, _first, into) =>
      into.forEach((_, index) => (into[index] = ((index * 37) % 255) - 127)),
    );
    const rows = Uint32Array.from({ length: count! * width! }, (_, index) => Math.imul(index, 2_654_435_761) >>> 0);
    store.multiply(0, rows, count!);
    let [best_, started] = [Infinity, performance.now()];
    while (performance.now() - started < 1500) {
      const before = performance.now();
      store.multiply(0, rows, count!);
      best_ = Math.min(best_, performance.now() - before);
    }
    return { shape: `${count} x ${width} x ${out}`, rate: (count! * width! * out!) / best_ / 1e6 };
  });
}

/** Llama 2 7B: 32 layers, d 4096, 11,008 neurons, 32,000 tokens. */
function sevenBillion(gigabits: number, gigamacs: number): Finding {
  const [layers, hidden, neurons, vocabulary] = [32, 4096, 11_008, 32_000];
  const up = 4 * (layers * (3 * hidden + neurons) + hidden); // bytes to A; B gets 28 a call
  const down = 4 * (layers * (3 * hidden + hidden + 2 * neurons + hidden) + vocabulary); // bytes from each
  const macs = layers * (4 * hidden * hidden + 3 * hidden * neurons) + hidden * vocabulary;
  const [network, compute] = [((up + 2 * down) * 8) / (gigabits * 1e9), macs / (gigamacs * 1e9)];
  const calls = layers * 4 + 1;
  const total = (roundTrip: number): number => network + compute + calls * roundTrip;
  return {
    claim: `On paper: a 7B model, 8-bit weights, one thread a server, the client's line at ${gigabits} Gbit/s`,
    figure: `${((up + 2 * down) / 1e6).toFixed(1)} MB a token (${network.toFixed(2)} s), ${calls} round trips, ${compute.toFixed(1)} s of products a server; without the client's own part a token in ${total(0.001).toFixed(1)} s at 1 ms, ${total(0.04).toFixed(1)} s at 40 ms`,
    bar: "-",
    holds: true,
  };
}
