/**
 * The hosts that were added in the browser: kept in the home, connected when a gateway opens the console, and tried again when they are
 * listed.
 * @module
 */
import { parsePolicy } from "@unseen/attest/read-policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { loadBundle } from "@unseen/client/bundle.ts";
import type { HostFacts, ModelHost } from "@unseen/client/engines/engine.ts";
import type { EncoderModel, GatewayModel } from "@unseen/client/gateway/model.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { HostRow } from "@unseen/web/protocol/library.ts";
import { bundlesOf, openHost, openOn, type Host, type KeyOpener } from "../../models.ts";
import { pairOf } from "../../shares/share-pair.ts";
import type { Console } from "../console.ts";
import { openKeyWith } from "../open-key.ts";
import { failureOf } from "../site.ts";
import { askHost, attestationRow, type HostState } from "./ask-host.ts";
import { MAXIMUM_HOSTS, type KeptHost } from "./host-schema.ts";
import { readHosts, writeHosts } from "./hosts-file.ts";
import { joinOffered, leaveOffer, offeredAtHosts, offerNew } from "./join-offer.ts";

/** Of a stranger's name for itself (CWE-770). */
const ENGINE_CHARACTERS = 64;

interface AddedHost {
  readonly kept: KeptHost;
  readonly host: Host;
  /** Its engines among those of offered models; null: it takes no part yet. */
  engines: ReadonlySet<ModelHost> | null;
}

export class AddedHosts {
  readonly #console: Console;
  readonly #closing = new AbortController();
  #hosts: readonly AddedHost[] = [];
  /** Changes come one after the other. */
  #queue: Promise<unknown>;

  /** Connects to what was added before, in the background. */
  constructor(console: Console) {
    this.#console = console;
    this.#queue = this.#restore();
  }

  /** Every host of an offered model and every added one, each asked just now. */
  async list(): Promise<HostRow[]> {
    await this.#queue;
    const rows = new Map<string, ModelHost>();
    for (const { engines } of this.#console.offer.models)
      for (const engine of engines) if (!pairOf(engine) && !rows.has(engine.url)) rows.set(engine.url, engine);
    for (const { host } of this.#hosts) rows.set(host.engine.url, host.engine);
    return Promise.all([...rows.values()].map((engine) => this.#row(engine)));
  }

  /**
   * Connects to a host, offers what it serves and keeps it; takes the place of one that was added under the same address.
   *
   * @throws UnseenError `HOST_*`, `ATTESTATION_*`, `BUNDLE_*`, `KEY_*`; `USAGE` for a policy that is none; `QUOTA_EXCEEDED`, `CONFLICT`, `DISK_FULL`
   */
  async add(kept: KeptHost, passphrase?: string): Promise<HostRow> {
    const host = this.#open(kept);
    const facts = await host.engine.probe(this.#closing.signal);
    await this.#change(async () => {
      const others = (await readHosts(this.#console.home)).filter(({ url }) => url !== kept.url);
      if (others.length >= MAXIMUM_HOSTS)
        throw new UnseenError("QUOTA_EXCEEDED", `${MAXIMUM_HOSTS} hosts were added, and no more may be.`, { hint: "Remove one first." });
      const join = await this.#prepare(kept, host, facts, openKeyWith(passphrase));
      await writeHosts(this.#console.home, [...others, kept]);
      const before = this.#hosts.find((other) => other.kept.url === kept.url)?.engines ?? new Set();
      const engines = join(before);
      leaveOffer(this.#console.offer, before);
      this.#hosts = [...this.#hosts.filter((other) => other.kept.url !== kept.url), { kept, host, engines }];
    });
    return this.#row(host.engine);
  }

  /** Forgets a host; answers that it is giving go on. Throws `REQUEST_INVALID` for one that was not added here, `CONFLICT`, `DISK_FULL`. */
  async remove(url: string): Promise<void> {
    await this.#change(async () => {
      const kept = await readHosts(this.#console.home);
      if (!kept.some((one) => one.url === url))
        throw new UnseenError("REQUEST_INVALID", "url: expected the address of a host that was added in the browser.", {
          hint: "Hosts that were given on the command line go when the gateway is started without them.",
        });
      await writeHosts(
        this.#console.home,
        kept.filter((one) => one.url !== url),
      );
      for (const { engines } of this.#hosts.filter((one) => one.kept.url === url)) leaveOffer(this.#console.offer, engines ?? new Set());
      this.#hosts = this.#hosts.filter((one) => one.kept.url !== url);
    });
  }

  /** Ends questions that are under way. */
  async close(): Promise<void> {
    this.#closing.abort(new UnseenError("HOST_UNREACHABLE", "the gateway is ending."));
    await this.#queue;
  }

  async #restore(): Promise<void> {
    try {
      for (const kept of await readHosts(this.#console.home)) {
        try {
          this.#hosts = [...this.#hosts, { kept, host: this.#open(kept), engines: null }];
        } catch (error) {
          this.#console.note(`The host at ${kept.url} is left out: ${failureOf(error).message}`);
        }
      }
    } catch (error) {
      this.#console.note(failureOf(error).message);
    }
    for (const { host } of this.#hosts) void this.#row(host.engine);
  }

  #open({ url, apiKey, policy }: KeptHost): Host {
    const demanded = policy === undefined ? null : parsePolicy(policy, "policy");
    if (demanded?.mode === "simulator") this.#console.note(SIMULATOR_WARNING);
    return openHost(url, { apiKey, policy: demanded, note: this.#console.note });
  }

  /** Opens what a host serves; what it returns lets the host take part, in the place of other engines. */
  async #prepare(
    { model }: KeptHost,
    host: Host,
    facts: HostFacts,
    open: KeyOpener,
  ): Promise<(leaving: ReadonlySet<ModelHost>) => ReadonlySet<ModelHost>> {
    const { home, offer } = this.#console;
    const wanted = model === undefined ? null : [await loadBundle(home, model)];
    const bundles = await bundlesOf(home, host.engine.url, facts, wanted);
    if (bundles.length === 0)
      throw new UnseenError("MODEL_NOT_FOUND", `the host at ${host.engine.url} serves no model.`, {
        hint: "Start it with `unseen serve DIRECTORY`.",
      });
    const opened = new Map<string, GatewayModel | EncoderModel>();
    for (const bundle of bundles)
      if (!offeredAtHosts(offer, bundle.fingerprint)) opened.set(bundle.fingerprint, await openOn(home, bundle, [host], { open }));
    return (leaving) => {
      const engines = new Set<ModelHost>();
      for (const { fingerprint } of bundles) {
        const fresh = opened.get(fingerprint);
        const joined = joinOffered(offer, fingerprint, host, leaving) ?? (fresh ? offerNew(offer, fresh).engines : []);
        for (const engine of joined) engines.add(engine);
      }
      return engines;
    };
  }

  /** Asks a host; one that was added and takes no part yet does from now on, if it can. */
  async #row(engine: ModelHost): Promise<HostRow> {
    const added = this.#hosts.find(({ host }) => host.engine === engine);
    let asked = await askHost(engine, this.#closing.signal);
    if (added && asked.facts) asked = await this.#join(added, asked);
    const { facts, ...state } = asked;
    return {
      url: engine.url,
      ...state,
      engine: facts?.engine.slice(0, ENGINE_CHARACTERS) ?? null,
      models: this.#console.offer.models.filter(({ engines }) => engines.some(({ url }) => url === engine.url)).map(({ id }) => id),
      attestation: attestationRow(engine.attestation, asked.failure),
      added: this.#hosts.some(({ kept }) => kept.url === engine.url),
      job: null,
    };
  }

  async #join(added: AddedHost, asked: HostState): Promise<HostState> {
    try {
      await this.#change(async () => {
        // It may have been removed meanwhile, or have joined for another page.
        if (added.engines || !this.#hosts.includes(added) || !asked.facts) return;
        const join = await this.#prepare(added.kept, added.host, asked.facts, openKeyWith());
        added.engines = join(new Set());
      });
      return asked;
    } catch (error) {
      return { ...asked, failure: failureOf(error) };
    }
  }

  #change<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }
}
