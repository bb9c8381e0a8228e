/**
 * `unseen serve`, `unseen gateway`, `unseen chat`
 * @module
 */
import { closeHosts, connectModel, serveModel } from "@unseen/client/gateway/model.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { startGateway } from "@unseen/client/gateway/serve.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { PROVIDERS, type Provider } from "@unseen/host/engine/onnx/provider.ts";
import type { Command } from "commander";
import { addCommand, wholeNumber } from "../command.ts";
import { openPages } from "../console/open-pages.ts";
import { connectModels, hostOptions, sharesOptions, type HostFlags } from "../models.ts";
import type { Terminal } from "../terminal.ts";
import { untilStopped } from "../private/until-signal.ts";
import { worthOf } from "../worth.ts";

const PORT = wholeNumber(0, 65_535);

interface ServeFlags {
  readonly port: number;
  readonly hostname: string;
  readonly apiKey?: string;
  readonly name?: string;
  readonly threads: number;
  readonly sequences: number;
  readonly context?: number;
  readonly cache?: "f16" | "f32";
  readonly queue?: number;
  readonly provider: Provider;
  readonly batchRows?: number;
  readonly batchTokens?: number;
  readonly attest?: "dstack" | "simulator" | true;
  readonly attestDirectory?: string;
  readonly plain?: boolean;
}

export function addServeCommands(program: Command, version: string): void {
  addCommand<ServeFlags>(program, {
    name: "serve",
    description: "serve an encrypted model blind: numbers in, numbers out (the untrusted machine runs this)",
    arguments: [["<model>", "encrypted directory, .gguf file or .onnx file"]],
    options: [
      { flags: "--port <number>", description: "port", env: "UNSEEN_HOST_PORT", fallback: "8801", parse: PORT },
      {
        flags: "--hostname <address>",
        description: "address to listen on; 0.0.0.0 lets other machines in",
        env: "UNSEEN_HOST_HOSTNAME",
        fallback: "127.0.0.1",
      },
      { flags: "--api-key <key>", description: "clients must send this key", env: "UNSEEN_HOST_API_KEY" },
      { flags: "--name <name>", description: "name in /v1/models", env: "UNSEEN_SERVED_NAME" },
      {
        flags: "--threads <count>",
        description: "threads of the engine; at most the idle cores",
        env: "UNSEEN_HOST_THREADS",
        fallback: "1",
        parse: wholeNumber(1, 1024),
      },
      { flags: "--sequences <count>", description: "GGUF: answers that run at once", fallback: "4", parse: wholeNumber(1, 256) },
      { flags: "--context <tokens>", description: "tokens per sequence", parse: wholeNumber(16) },
      {
        flags: "--cache <format>",
        description: "GGUF: number format of the key-value cache (default: f32 for f32 and f16 models, else f16)",
        choices: ["f16", "f32"],
      },
      { flags: "--queue <count>", description: "requests that may wait", parse: wholeNumber(1, 100_000) },
      { flags: "--provider <name>", description: "ONNX: where the engine computes", fallback: "cpu", choices: PROVIDERS },
      { flags: "--batch-rows <count>", description: "ONNX: rows that may share a run", parse: wholeNumber(1, 4096) },
      { flags: "--batch-tokens <count>", description: "ONNX: tokens of a run, padding included", parse: wholeNumber(1, 1 << 24) },
      {
        flags: "--attest [source]",
        description:
          "serve HTTPS under a key made inside this enclave, with evidence: dstack (default), or simulator, which protects nothing",
        choices: ["dstack", "simulator"],
      },
      { flags: "--attest-directory <path>", description: "where the simulator keeps its keys (default: simulator in UNSEEN_HOME)" },
      { flags: "--plain", description: "also serve a model that is not encrypted", env: "UNSEEN_HOST_PLAIN" },
    ],
    async run({ options, values, terminal }) {
      // Loaded here, because the engine's native library is large and the other commands do without it.
      const { closeOnSignals, startHost } = await import("@unseen/host/serve.ts");
      const { openQuoteSource } = await import("../private/quote-source.ts");
      const { context, queue, cache, attest, attestDirectory, ...rest } = options;
      const platform = attest === true ? "dstack" : attest;
      // The host itself says what a simulator is.
      const source = platform && (await openQuoteSource({ attest: platform, ...(attestDirectory ? { attestDirectory } : {}) }, () => {}));
      const host = await startHost({
        model: values[0] as string,
        ...rest,
        port: Number(options.port),
        threads: Number(options.threads),
        sequences: Number(options.sequences),
        contextSize: context,
        maximumQueue: queue,
        cacheFormat: cache,
        attest: source,
        log: (line) => terminal.note(line),
      });
      announceExposure(options.hostname, options.apiKey, terminal);
      const length = host.contextLength === null ? "" : `, ${host.contextLength} tokens of context`;
      const protection = host.manifest ? `fingerprint ${host.manifest.fingerprint}` : "NOT ENCRYPTED";
      terminal.print(`Serving ${host.name} at ${host.url}${length}, ${protection}.`);
      terminal.result({
        url: host.url,
        name: host.name,
        fingerprint: host.manifest?.fingerprint ?? null,
        contextLength: host.contextLength,
      });
      await closeOnSignals(host);
    },
  });

  addCommand<HostFlags & { port: number; hostname: string; apiKey?: string; origin?: readonly string[]; web: boolean }>(program, {
    name: "gateway",
    description: "serve the OpenAI API and the pages on this machine; hosts get nothing but cipher ids",
    options: [
      { flags: "--port <number>", description: "port", env: "UNSEEN_PORT", fallback: "8800", parse: PORT },
      { flags: "--hostname <address>", description: "address to listen on", env: "UNSEEN_HOSTNAME", fallback: "127.0.0.1" },
      { flags: "--api-key <key>", description: "clients must send this key", env: "UNSEEN_API_KEY" },
      ...hostOptions,
      ...sharesOptions,
      { flags: "--origin <origin>", description: "let pages of this origin call the gateway", repeated: true },
      { flags: "--no-web", description: "serve the API alone, without pages", env: "UNSEEN_NO_WEB" },
    ],
    async run({ options, terminal }) {
      const home = resolveHome();
      const note = (line: string): void => terminal.note(line);
      const models = await connectModels(home, options, note).catch((error: unknown) => withoutHost(error, options, note));
      const offer = new Offer(models);
      const web = options.web ? await openPages({ home, version, offer, preparing: null, note }) : null;
      const gateway = await startGateway({
        models: offer,
        site: web?.site,
        port: Number(options.port),
        hostname: options.hostname,
        apiKey: options.apiKey,
        origins: options.origin,
        log: (entry) =>
          terminal.note(
            Object.entries(entry)
              .map(([name, value]) => `${name}=${String(value)}`)
              .join(" "),
          ),
      });
      announceExposure(options.hostname, options.apiKey, terminal);
      const address = web?.address(gateway.url) ?? null;
      if (address) terminal.print(`In the browser   ${address}`);
      terminal.print(`OpenAI base URL  ${gateway.baseUrl}`);
      for (const model of models) {
        terminal.print(
          `Model            ${model.id}  ${model.bundle.fingerprint}  at ${model.engines.map((engine) => engine.url).join(", ")}`,
        );
        if (options.shares)
          terminal.print("                 Each of the two servers sees uniform randomness; if they work together, this is what is left:");
        const kind = model.bundle.vocabularySize === 0 ? null : "encoder" in model ? "encoder" : "decoder";
        for (const line of await worthOf(home, model.bundle, kind)) terminal.print(`                 ${line}`);
      }
      terminal.result({ url: gateway.url, baseUrl: gateway.baseUrl, web: address, models: models.map((model) => model.id) });
      await untilStopped();
      await web?.close();
      await gateway.close();
    },
  });

  addCommand<HostFlags & { showWire?: boolean; system?: string; message?: string }>(program, {
    name: "chat",
    description: "chat in the terminal with a blind host",
    options: [
      ...hostOptions,
      ...sharesOptions,
      { flags: "--show-wire", description: "show beside each message what the host saw" },
      { flags: "--system <text>", description: "system message" },
      { flags: "--message <text>", description: "say this, print the answer and exit" },
    ],
    async run({ options, terminal }) {
      if (options.shares && options.showWire)
        throw new UnseenError("USAGE", "--show-wire shows a host's view, and servers of shares see random numbers alone.", {
          hint: "Leave it out.",
        });
      const { runChat } = await import("@unseen/client/chat/chat.ts");
      const models = await connectModels(resolveHome(), options, (line) => terminal.note(line));
      const [model] = models;
      if (!model || models.length > 1) {
        throw new UnseenError("USAGE", `the hosts serve ${models.length} models.`, {
          hint: `Choose one with --model: ${models.map(({ id }) => id).join(", ")}.`,
        });
      }
      if ("encoder" in model)
        throw new UnseenError("REQUEST_UNSUPPORTED", `model ${model.id} writes no text.`, {
          hint: `Use \`unseen ${model.encoder.task === "classification" ? "classify" : "embed"}\`.`,
        });
      const served = serveModel(model);
      await connectModel(served);
      const said = await runChat(served, {
        showWire: options.showWire === true,
        system: options.system,
        message: options.message,
        silent: terminal.json,
      }).finally(() => closeHosts(models));
      if (!said || !options.shares) return said;
      // No server got these ids.
      return { ...said, hostSaw: null };
    },
  });
}

/** With pages one can begin without a host, and add one there; what was asked for by name must answer. Throws the error otherwise. */
function withoutHost(error: unknown, options: HostFlags & { web: boolean }, note: (line: string) => void): [] {
  const named = options.host ?? options.model ?? options.shares ?? options.requireAttestation;
  if (!options.web || named !== undefined || !UnseenError.isInstance(error) || error.code !== "HOST_UNREACHABLE") throw error;
  note(`${error.message} Add a host in the browser, or start one and this gateway again.`);
  return [];
}

/** Says so when a server is reachable from other machines without a key. */
function announceExposure(hostname: string, apiKey: string | undefined, terminal: Terminal): void {
  if (apiKey || ["127.0.0.1", "::1", "localhost"].includes(hostname)) return;
  terminal.note(`Warning: ${hostname} is reachable from other machines and no --api-key is set.`);
}
