/**
 * Starts what is compared: hosts and servers as processes of their own, on this machine.
 * @module
 */
import { join } from "node:path";
import { HostAttestation } from "@unseen/client/engines/attested-connection.ts";
import { VllmEngine } from "@unseen/client/engines/vllm.ts";
import { simulatorPolicy } from "@unseen/attest/simulator/simulator-source.ts";
import { serverUrl } from "@unseen/shares/client/operators.ts";
import { ProjectionFile } from "@unseen/shares/client/projection-file.ts";
import { RemoteMultiplier } from "@unseen/shares/client/remote-multiplier.ts";
import { CLIENT_FILES } from "@unseen/shares/model/client-model.ts";
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import type { Multiplier } from "@unseen/shares/multiplier.ts";
import type { ProtectionId } from "@unseen/web/protocol/comparison.ts";
import type { FidelityRow } from "@unseen/web/protocol/library.ts";
import { endParty, startParty } from "../party.ts";
import { SharePair } from "../shares/share-pair.ts";
import { SharesEngine } from "../shares/shares-engine.ts";
import type { Contender } from "./contender.ts";
import { delayedLine } from "./delayed-line.ts";
import type { PreparedModels, SplitModel } from "./prepare-models.ts";

/** Seconds that an answer of distant servers may take; it is as short as that asks for. */
const DISTANT_SECONDS = { quick: 1, full: 4 } as const;
const LEAST_TOKENS = 4;

export interface ContenderOptions {
  readonly models: PreparedModels;
  /** Directory that everything started may write to. */
  readonly place: string;
  /** Milliseconds to distant servers; 0: there are none. */
  readonly roundTrip: number;
  readonly answerTokens: number;
  readonly quick: boolean;
  readonly signal: AbortSignal;
  /** Gets what undoes each thing that was started, the last first to be called. */
  readonly closing: (() => unknown)[];
}

export interface Contenders {
  readonly contenders: readonly Contender[];
  /** Of the quantised model on the two servers; null where there are none. */
  readonly fidelity: FidelityRow | null;
}

/** @throws UnseenError `JOB_FAILED` for what did not start, `HOST_*`, `ATTESTATION_*`; the signal's reason */
export async function startContenders(options: ContenderOptions): Promise<Contenders> {
  const { models, place, answerTokens } = options;
  const attestDirectory = join(place, "simulator");
  const policy = await simulatorPolicy(attestDirectory);
  const serve = (model: string, ...flags: string[]): Promise<string> => startServer(["serve", model, "--port", "0", ...flags], options);
  const { served, split } = models;
  const [plainUrl, permuteUrl, rotateUrl, attestedUrl, ...serverUrls] = (await Promise.all([
    serve(served.plain, "--plain"),
    serve(served.permute),
    serve(served.rotate),
    serve(served.rotate, "--attest", "simulator", "--attest-directory", attestDirectory),
    ...(typeof split === "string"
      ? []
      : split.servers.map((directory) => startServer(["shares", "serve", directory, "--port", "0"], options))),
  ])) as [string, string, string, string, ...string[]];
  const encipher = (ids: readonly number[]): number[] => models.reference.encipher(ids);
  const attestation = new HostAttestation(attestedUrl, policy);
  const contenders: Contender[] = [
    { id: "plain", engine: new VllmEngine({ url: plainUrl }), encipher: (ids) => [...ids], answerTokens },
    { id: "permute", engine: new VllmEngine({ url: permuteUrl }), encipher, answerTokens },
    { id: "rotate", engine: new VllmEngine({ url: rotateUrl }), encipher, answerTokens },
    { id: "attested", engine: new VllmEngine({ url: attestedUrl, attestation }), encipher, answerTokens },
  ];
  if (typeof split === "string") return { contenders, fidelity: null };
  const decoder = await ShareDecoder.open(split.client);
  const { pair, multiplier } = await connectPair(serverUrls, split, options);
  const contend = (id: ProtectionId, servers: SharePair, tokens: number): Contender => {
    const facts = { id, fingerprint: id, vocabularySize: models.vocabulary, contextLength: models.contextLength };
    return { id, engine: new SharesEngine(servers, facts, decoder), encipher, answerTokens: tokens };
  };
  contenders.push(contend("servers", pair, answerTokens));
  const fidelity = await fidelityOf(models, decoder, multiplier, options.signal);
  if (options.roundTrip > 0) {
    const lines = await Promise.all(serverUrls.map((url) => delayedLine(url, options.roundTrip)));
    options.closing.push(() => Promise.all(lines.map((line) => line.close())));
    const distant = await connectPair(
      lines.map(({ url }) => url),
      split,
      options,
    );
    const { groups } = decoder.description.layout;
    const patience = DISTANT_SECONDS[options.quick ? "quick" : "full"] * 1000;
    const affordable = Math.max(LEAST_TOKENS, Math.floor(patience / (groups.length * options.roundTrip)));
    contenders.push(contend("distant-servers", distant.pair, Math.min(answerTokens, affordable)));
  }
  return { contenders, fidelity };
}

/** Starts a command that serves, in an empty home, and gives its address. */
async function startServer(parameters: readonly string[], { place, signal, closing }: ContenderOptions): Promise<string> {
  signal.throwIfAborted();
  const { child, facts } = startParty(parameters, { UNSEEN_HOME: join(place, "home") });
  const end = (): Promise<void> => endParty(child);
  closing.push(end);
  const stop = (): void => void end();
  signal.addEventListener("abort", stop, { once: true });
  const { url } = await facts.catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  return String(url);
}

async function connectPair(urls: readonly string[], { client }: SplitModel, { closing }: ContenderOptions) {
  const [urlA, urlB] = urls as readonly [string, string];
  const { layout, limits } = (await ShareDecoder.open(client)).description;
  const checks = await ProjectionFile.read(join(client, CLIENT_FILES.checks), layout);
  const multiplier = await RemoteMultiplier.connect({ urlA, urlB, layout, checks, limits, allowSameOperator: true });
  closing.push(() => multiplier.close());
  return { pair: new SharePair([serverUrl(urlA), serverUrl(urlB)], multiplier, true), multiplier };
}

/** The split model, on the servers themselves, against the plain one. */
async function fidelityOf(
  { reference }: PreparedModels,
  decoder: ShareDecoder,
  multiplier: Multiplier,
  signal: AbortSignal,
): Promise<FidelityRow> {
  const { vocabulary } = decoder.architecture;
  const logits = [];
  for (const ids of reference.sequences) {
    const values = await decoder.step(decoder.start(), ids, multiplier, { logits: "all", signal });
    logits.push({ positions: ids.length, vocabulary, values });
  }
  return reference.compare(logits);
}
