/**
 * `unseen start`: from nothing to a private conversation, on one machine.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadBundle } from "@unseen/client/bundle.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { startGateway } from "@unseen/client/gateway/serve.ts";
import { connectModel, serveModel } from "@unseen/client/gateway/model.ts";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import { WireView } from "@unseen/client/chat/wire-view.ts";
import { VllmEngine } from "@unseen/client/engines/vllm.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { bundleModel, nameOf } from "../bundle-model.ts";
import { BUNDLED_MODEL } from "../bundled-models.ts";
import { openBrowser } from "../console/open-browser.ts";
import { openPages } from "../console/open-pages.ts";
import { addCommand, wholeNumber } from "../command.ts";
import { encoderOf } from "../encoder-bundle.ts";
import { keepFidelity } from "../fidelity-record.ts";
import { openOrMakeKey, DEFAULT_KEY } from "../keys.ts";
import { affordableTokens, describeFidelity, measureFidelity, sampleSequences } from "../measure.ts";
import { openModelFor } from "../models.ts";
import { streamDemonstration } from "../demonstration.ts";
import type { Terminal } from "../terminal.ts";
import { worthOf } from "../worth.ts";

const QUESTION = "Tell me a story about a dog and a ball.";

interface StartFlags {
  readonly once?: boolean;
  readonly port: number;
  readonly hostPort: number;
  readonly apiKey?: string;
  readonly question: string;
  readonly web: boolean;
  readonly open: boolean;
}

export function addStartCommand(program: Command, version: string): void {
  addCommand<StartFlags>(program, {
    name: "start",
    description: "key, encrypted model, blind host and gateway in one go, with a first answer",
    arguments: [["[model]", "model to encrypt and serve (default: the small story model that comes along)"]],
    options: [
      { flags: "--once", description: "show one answer and exit" },
      { flags: "--port <number>", description: "port of the gateway", env: "UNSEEN_PORT", fallback: "8800", parse: wholeNumber(0, 65_535) },
      {
        flags: "--host-port <number>",
        description: "port of the host",
        env: "UNSEEN_HOST_PORT",
        fallback: "8801",
        parse: wholeNumber(0, 65_535),
      },
      { flags: "--api-key <key>", description: "clients of the gateway must send this key", env: "UNSEEN_API_KEY" },
      { flags: "--question <text>", description: "what to ask first", fallback: QUESTION },
      { flags: "--no-web", description: "serve the API alone, without pages", env: "UNSEEN_NO_WEB" },
      { flags: "--no-open", description: "do not open the pages in a browser", env: "UNSEEN_NO_OPEN" },
    ],
    async run({ options, values, terminal }) {
      const home = resolveHome();
      const offer = new Offer();
      let wire: WireView | null = null;
      const console = { home, version, offer, preparing: "making a key and encrypting a model" as string | null, note: terminal.note };
      const web = options.web && !options.once ? await openPages(console) : null;
      const gateway = await startGateway({
        models: offer,
        port: options.once ? 0 : Number(options.port),
        apiKey: options.apiKey,
        onWire: (event) => wire?.record(event),
        site: web?.site,
      });
      const address = web?.address(gateway.url) ?? null;
      let host: HostProcess | null = null;
      try {
        if (address) {
          terminal.print(`In the browser   ${address}`);
          if (options.open && !terminal.json) await openBrowser(address, home);
        }
        const encrypted = await encryptOnce(home, values[0] ?? BUNDLED_MODEL, terminal);
        console.preparing = "starting the blind host";
        host = await startHostProcess(encrypted.directory, Number(options.hostPort), terminal);
        const bundle = await loadBundle(home, encrypted.fingerprint);
        const at = { url: host.url };
        const engine = new VllmEngine(at);
        const opened = serveModel(await openModelFor(home, bundle, [engine]));
        await connectModel(opened);
        // A host that was added in the browser may serve the same model already.
        const { joinOffered, offeredAtHosts, offerNew } = await import("../console/hosts/join-offer.ts");
        if (!joinOffered(offer, bundle.fingerprint, { address: at, engine })) offerNew(offer, opened);
        const offered = offeredAtHosts(offer, bundle.fingerprint);
        const model = offered && "blind" in offered ? offered : opened;
        console.preparing = null;
        terminal.print(`OpenAI base URL  ${gateway.baseUrl}`);
        terminal.print(`Blind host       ${host.url} (process ${host.child.pid}, started with the encrypted directory alone)`);
        for (const line of await worthOf(home, bundle, "decoder")) terminal.print(`                 ${line}`);
        terminal.print();
        wire = new WireView();
        const { question, apiKey } = options;
        const shown = await streamDemonstration({ gateway, model, question, apiKey, wire, terminal });
        wire = null;
        const facts = { baseUrl: gateway.baseUrl, hostUrl: host.url, web: address, model: bundle.name, fingerprint: bundle.fingerprint };
        if (options.once) return { ...facts, ...shown };
        printExample(gateway.baseUrl, bundle.name, apiKey, terminal);
        terminal.result({ ...facts, ...shown });
        await Promise.race([stopped(), host.ended]);
        return undefined;
      } finally {
        await web?.close();
        await gateway.close();
        await host?.stop();
      }
    },
  });
}

/** Encrypts under the default key unless that was done before; the result lies in the models directory. */
async function encryptOnce(home: Home, source: string, terminal: Terminal): Promise<{ directory: string; fingerprint: string }> {
  const encoder = await encoderOf(source);
  if (encoder)
    throw new UnseenError("USAGE", `${source} holds an encoder (${encoder.architecture.family}), which writes no text to talk with.`, {
      hint: "`unseen encrypt` takes it, for transformers; or its ONNX export, for `unseen serve`.",
    });
  const { key, made } = await openOrMakeKey(DEFAULT_KEY, home);
  terminal.print(`Key              ${key.name} (${key.id}) in ${home.keys}${made ? ", new" : ""}`);
  const name = nameOf(source);
  const directory = join(home.models, `${name}-unseen`);
  const existing = existsSync(directory) ? (await openModel(directory)).manifest : null;
  if (existing && key.models.some((model) => model.fingerprint === existing.fingerprint)) {
    terminal.print(`Encrypted model  ${directory}`);
    return { directory, fingerprint: existing.fingerprint };
  }
  const progress = terminal.progress("encrypting");
  const result = await encryptModel({
    source,
    output: directory,
    key: { secret: key.secret, strength: "rotate" },
    onProgress: (done, total) => progress.update(done, total),
    beforeCommit: async (written) => void (await bundleModel(home, { source, result: written, key, name })),
  });
  progress.end();
  const bundle = await loadBundle(home, result.manifest?.fingerprint ?? name);
  terminal.print(`Encrypted model  ${directory} (${(result.bytes / 1e6).toFixed(1)} MB in ${result.seconds.toFixed(1)} s)`);
  const tokenizer = (await openModelFor(home, bundle)).tokenizer;
  const fidelity = await measureFidelity(
    source,
    directory,
    key.secret,
    sampleSequences(tokenizer, bundle.vocabularySize, affordableTokens(result.weights)),
  );
  terminal.print(`Fidelity         ${describeFidelity(fidelity)}`);
  await keepFidelity(home, bundle.fingerprint, fidelity, terminal.note);
  return { directory, fingerprint: bundle.fingerprint };
}

interface HostProcess {
  readonly url: string;
  readonly child: ChildProcess;
  readonly ended: Promise<never>;
  stop(): Promise<void>;
}

/** The host as its own process, which gets a path and nothing else of ours: no keyring, no environment. */
async function startHostProcess(directory: string, port: number, terminal: Terminal): Promise<HostProcess> {
  const cache = join(directory, "..", "..", "cache", "host");
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("../../bin/unseen.js", import.meta.url)), "serve", directory, "--port", String(port), "--json"],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], UNSEEN_HOME: cache, ...(process.env["HOME"] ? { HOME: process.env["HOME"] } : {}) },
    },
  );
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const exited = new Promise<never>((_resolve, reject) => {
    child.once("exit", (code) => {
      reject(new UnseenError("ENGINE_CRASHED", lastLine(complaint) ?? `the host ended with code ${code}.`));
    });
    child.once("error", reject);
  });
  exited.catch(() => {});
  process.once("exit", () => child.kill("SIGKILL"));
  const progress = terminal.progress("loading the model");
  try {
    const line = await Promise.race([firstLine(child), exited]);
    const { url } = JSON.parse(line) as { url: string };
    return {
      url,
      child,
      ended: exited,
      async stop() {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
        await gone;
        clearTimeout(timer);
      },
    };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    progress.end();
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}

function lastLine(text: string): string | null {
  const line = text.trim().split("\n").at(-1);
  return line ? line.replace(/^unseen: /, "") : null;
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => resolve());
  });
}

function printExample(baseUrl: string, model: string, apiKey: string | undefined, terminal: Terminal): void {
  terminal.print("Call it like any OpenAI server; existing programs change one line, the base URL:");
  terminal.print();
  terminal.print(
    `  curl ${baseUrl}/chat/completions ${apiKey ? '-H "authorization: Bearer $UNSEEN_API_KEY" ' : ""}-H 'content-type: application/json' \\`,
  );
  terminal.print(`    -d '{"model":"${model}","messages":[{"role":"user","content":"Who are you?"}]}'`);
  terminal.print();
  terminal.print("In the terminal: npx unseen chat --show-wire        Stop: Ctrl-C");
}
