/**
 * One home's conversations: opened when first asked for, under one lock, and closed again when the key is forgotten.
 * @module
 */
import { join } from "node:path";
import { UnseenError } from "@unseen/core/errors.ts";
import { lockDirectory, type ProcessLock } from "@unseen/core/process-lock.ts";
import { ensureDirectory } from "../atomic-file.ts";
import type { OfferedModel } from "../gateway/model.ts";
import type { Home } from "../home.ts";
import { ConversationStore } from "./store.ts";
import { Turns } from "./turns.ts";
import { Vault, type VaultState } from "./vault.ts";

/** What can be worked with while the vault is open. */
export interface OpenedConversations {
  readonly store: ConversationStore;
  readonly turns: Turns;
}

export class Conversations {
  readonly #home: Home;
  readonly #directory: string;
  readonly #models: () => readonly OfferedModel[];
  #lock: ProcessLock | null = null;
  #vault: Promise<Vault> | null = null;
  #opened: Promise<OpenedConversations> | null = null;
  #closed = false;

  /** Touches no file. @param models - What is offered now. */
  constructor(home: Home, models: () => readonly OfferedModel[]) {
    this.#home = home;
    this.#directory = join(home.root, "conversations");
    this.#models = models;
  }

  /** @throws UnseenError CONFLICT where another gateway has them open, VAULT_INVALID. */
  async vault(): Promise<Vault> {
    if (this.#closed) throw new UnseenError("CONFLICT", "the gateway ends.", { hint: "Start it again." });
    const opening = (this.#vault ??= this.#openVault());
    try {
      return await opening;
    } catch (error) {
      // What was wrong may have been put right until the next try.
      if (this.#vault === opening) this.#vault = null;
      throw error;
    }
  }

  /** @throws UnseenError VAULT_LOCKED, and what {@link vault} throws. */
  async open(): Promise<OpenedConversations> {
    const { secret } = await this.vault();
    const opening = (this.#opened ??= this.#openStore(secret));
    try {
      return await opening;
    } catch (error) {
      if (this.#opened === opening) this.#opened = null;
      throw error;
    }
  }

  /** Ends what runs and forgets the key. @throws UnseenError CONFLICT without a passphrase. */
  async lock(): Promise<VaultState> {
    // In this order, so that nobody opens them again in between; what runs is saved under the store's copy of the key.
    const state = await (await this.vault()).lock();
    await this.#closeStore();
    return state;
  }

  /** Ends what runs, saved as interrupted, and lets other gateways have the conversations. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeStore();
    (await this.#vault?.catch(() => null))?.forget();
    this.#lock?.release();
    this.#lock = null;
  }

  async #openVault(): Promise<Vault> {
    await ensureDirectory(this.#directory);
    this.#lock ??= lockDirectory(this.#directory, {
      name: "gateway",
      refuse: (owner, cause) =>
        new UnseenError("CONFLICT", `another gateway has these conversations open (process ${owner}).`, {
          hint: "Use that one, or stop it.",
          cause,
        }),
    });
    return Vault.open(this.#home, this.#directory);
  }

  async #openStore(secret: Uint8Array): Promise<OpenedConversations> {
    const store = await ConversationStore.open({ directory: this.#directory, secret });
    return { store, turns: new Turns(store, this.#models) };
  }

  async #closeStore(): Promise<void> {
    const opened = await this.#opened?.catch(() => null);
    this.#opened = null;
    await opened?.turns.close();
    await opened?.store.close();
  }
}
