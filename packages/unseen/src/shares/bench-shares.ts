/**
 * `unseen shares bench`: two servers on this machine against the same quantised model in one process, and against float weights.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { makeProjection } from "@unseen/shares/client/integrity.ts";
import { ProjectionFile } from "@unseen/shares/client/projection-file.ts";
import { RemoteMultiplier } from "@unseen/shares/client/remote-multiplier.ts";
import { CLIENT_FILES } from "@unseen/shares/model/client-model.ts";
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import { measureDecoder } from "@unseen/shares/model/fidelity.ts";
import { openShareDirectory } from "@unseen/shares/model/share-directory.ts";
import type { Multiplier } from "@unseen/shares/multiplier.ts";
import { prepareShares } from "@unseen/shares/prepare/prepare-shares.ts";
import { KernelMultiplier } from "@unseen/shares/ring/kernel-multiplier.ts";
import { WeightStore } from "@unseen/shares/ring/multiply.ts";
import { best } from "@unseen/shares/sampling/sample.ts";
import { startShareServer } from "@unseen/shares/server/serve.ts";
import type { ShareBenchFlags } from "../commands/shares.ts";
import { pseudoRandomIds } from "../measure.ts";
import type { Terminal } from "../terminal.ts";

const PROMPT_TOKENS = 16;

/** Runs it and prints the figures. */
export async function benchShares(path: string, options: ShareBenchFlags, terminal: Terminal): Promise<object> {
  const directory = await mkdtemp(join(tmpdir(), "unseen-shares-"));
  const at = (name: string): string => join(directory, name);
  const closing: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    const secret = new Uint8Array(randomBytes(32));
    await encryptModel({ source: resolve(path), output: at("encrypted"), key: { secret, strength: "rotate" }, precision: "f32" });
    const model = await openModel(at("encrypted"));
    const { layout, limits } = prepareShares({
      model,
      bits: options.bits === "16" ? 16 : 8,
      outA: at("a"),
      outB: at("b"),
      client: at("client"),
      fingerprint: "bench",
      project: (weights, out, inward) => makeProjection(weights, out, inward, (bytes) => bytes.set(randomBytes(bytes.length))),
    });
    const servers = await Promise.all(
      ["a", "b"].map((name) => startShareServer({ directory: at(name), port: 0, hostname: "127.0.0.1", log: () => {} })),
    );
    closing.unshift(...servers.map((server) => () => server.close()));
    const decoder = await ShareDecoder.open(at("client"));
    const remote = await RemoteMultiplier.connect({
      urlA: servers[0]!.url,
      urlB: servers[1]!.url,
      layout,
      limits,
      checks: await ProjectionFile.read(join(at("client"), CLIENT_FILES.checks), layout),
      allowSameOperator: true,
    });
    closing.unshift(async () => remote.close());
    const shares = await openShareDirectory(at("a"));
    const local = new KernelMultiplier(
      layout,
      WeightStore.load(layout, (layer, limb, first, into) =>
        into.set(shares.read(layer, limb).subarray(first * widthOf(layer), first * widthOf(layer) + into.length)),
      ),
    );
    function widthOf(layer: string): number {
      return layout.groups.find(({ layers }) => layers.some(({ name }) => name === layer))!.in;
    }

    const prompts = Array.from({ length: Number(options.prompts) }, (_, index) =>
      pseudoRandomIds(vocabularyOf(layout), PROMPT_TOKENS, index + 1),
    );
    const [onServers, here] = [
      await generateAll(decoder, remote, prompts, Number(options.tokens)),
      await generateAll(decoder, local, prompts, Number(options.tokens)),
    ];
    const bitExact = onServers.logits.every((row, index) => row.every((value, id) => Object.is(value, here.logits[index]![id])));
    const bytes = remote.statistics().servers.reduce((sum, { sent, received }) => sum + sent + received, 0);
    const fidelity = await measureDecoder(model, decoder, local, prompts);
    const result = {
      bitExact,
      tokensPerSecond: onServers.tokensPerSecond,
      bytesPerToken: Math.round(bytes / onServers.tokens),
      plainTokensPerSecond: here.tokensPerSecond,
      logits: onServers.logits.length,
      fidelity,
    };
    terminal.print(`Every logit equal to the same model here: ${bitExact ? "yes" : "NO"} (${result.logits} rows)`);
    terminal.print(
      `Tokens a second: ${result.tokensPerSecond.toFixed(1)} on two local servers, ${result.plainTokensPerSecond.toFixed(1)} here on the same kernels`,
    );
    terminal.print(`Bytes a token: ${result.bytesPerToken}`);
    terminal.print(
      `Against float weights: same next token at ${(fidelity.greedyAgreement * 100).toFixed(1)} % of ${fidelity.tokens} positions, mean KL ${fidelity.meanKl.toExponential(1)} nats`,
    );
    return result;
  } finally {
    for (const close of closing) await close();
  }
}

interface Run {
  readonly logits: Float64Array[];
  /** Run through the model, prompts included. */
  readonly tokens: number;
  /** Generated ones. */
  readonly tokensPerSecond: number;
}

async function generateAll(decoder: ShareDecoder, multiplier: Multiplier, prompts: readonly number[][], count: number): Promise<Run> {
  const logits: Float64Array[] = [];
  let [seconds, tokens] = [0, 0];
  for (const prompt of prompts) {
    const state = decoder.start();
    let pending = prompt;
    for (let token = 0; token < count; token += 1) {
      const started = performance.now();
      const row = await decoder.step(state, pending, multiplier, { logits: "last" });
      if (token > 0) seconds += (performance.now() - started) / 1000;
      tokens += pending.length;
      logits.push(row);
      pending = [best(row)];
    }
  }
  return { logits, tokens, tokensPerSecond: (prompts.length * (count - 1)) / seconds };
}

/** The head is the last group. */
function vocabularyOf({ groups }: { readonly groups: readonly { readonly layers: readonly { readonly out: number }[] }[] }): number {
  return groups.at(-1)!.layers[0]!.out;
}
