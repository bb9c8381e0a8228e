/**
 * What the host's server and the gateway add to the engine: per streamed token, and to the first one.
 * @module
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bundle } from "@unseen/client/bundle.ts";
import { VllmEngine } from "@unseen/client/engines/vllm.ts";
import { startGateway } from "@unseen/client/gateway/serve.ts";
import { TokenCipher } from "@unseen/client/token-cipher.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { startHostProcess, timeStream, type StreamTiming } from "./hosts.ts";
import { alternate, median, type Figure } from "./measure.ts";

const ROUNDS = 15;
const TOKENS = 128;
const MODEL = fileURLToPath(new URL("../packages/unseen/models/story-llama", import.meta.url));

export async function gateway(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  try {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const file = join(directory, "model.gguf");
    const { manifest, eosIds, bosId, contextLength } = await encryptModel({
      source: MODEL,
      output: file,
      key: { secret, strength: "rotate" },
    });
    if (!manifest) throw new Error("no manifest");
    const bundle: Bundle = {
      ...manifest,
      version: 1,
      name: "story",
      keyId: "0".repeat(16),
      contextLength,
      created: new Date().toISOString(),
      eosIds: [...eosIds],
      bosId,
      generation: {},
    };
    const cipher = new TokenCipher(vocabularyPermutation(secret, manifest.vocabularySize));
    const tokenizer = await TextTokenizer.load(MODEL);
    const prompt = tokenizer.encode("Once upon a time there was a little dog who", { specialTokens: true });
    const host = await startHostProcess(file, join(directory, "home"));
    const running = await startGateway({
      models: [{ id: "story", bundle, tokenizer, cipher, engines: [new VllmEngine({ url: host.url })] }],
      port: 0,
    });
    const engine = fork(fileURLToPath(new URL("./engine-alone.ts", import.meta.url)), [file], {
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    process.once("exit", () => engine.kill("SIGKILL"));
    await once(engine, "message");
    const alone = async (): Promise<StreamTiming> => {
      engine.send({ prompt: cipher.encipher(prompt), tokens: TOKENS });
      return ((await once(engine, "message")) as [StreamTiming])[0];
    };
    const timings: Record<"alone" | "host" | "gateway", StreamTiming[]> = { alone: [], host: [], gateway: [] };
    const keep = (name: keyof typeof timings, run: () => Promise<StreamTiming>) => async (): Promise<number> => {
      const timing = await run();
      timings[name].push(timing);
      return timing.perToken;
    };
    const runs = {
      alone: keep("alone", alone),
      host: keep("host", () => timeStream(host.url, undefined, cipher.encipher(prompt), TOKENS)),
      gateway: keep("gateway", () => timeStream(running.url, "story", prompt, TOKENS)),
    };
    for (const run of Object.values(runs)) await run();
    for (const list of Object.values(timings)) list.length = 0;
    await alternate(ROUNDS, runs);
    engine.kill();
    await running.close();
    await host.stop();
    const microseconds = (name: keyof typeof timings, field: "first" | "perToken"): number =>
      median(timings[name].map((timing) => timing[field])) * 1e6;
    return [
      { name: "engine alone, per token", value: microseconds("alone", "perToken"), unit: "us" },
      { name: "host adds, per streamed token", value: microseconds("host", "perToken") - microseconds("alone", "perToken"), unit: "us" },
      {
        name: "gateway adds, per streamed token",
        value: microseconds("gateway", "perToken") - microseconds("host", "perToken"),
        unit: "us",
      },
      { name: "engine alone, to the first token", value: microseconds("alone", "first"), unit: "us" },
      { name: "host adds, to the first token", value: microseconds("host", "first") - microseconds("alone", "first"), unit: "us" },
      { name: "gateway adds, to the first token", value: microseconds("gateway", "first") - microseconds("host", "first"), unit: "us" },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
