/**
 * The terminal chat.
 * @module
 */
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { writeFile } from "node:fs/promises";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { connectModel, serveModel, type GatewayModel, type ServedModel } from "../gateway/model.ts";
import { commands, helpText, readCommand } from "./commands.ts";
import { Conversation, type ChatSettings } from "./conversation.ts";
import { WireView } from "./wire-view.ts";

export interface ChatLoopOptions {
  readonly model: GatewayModel | ServedModel;
  readonly input: Readable;
  readonly output: Writable;
  /** Line editing, history and Ctrl-C; false for a pipe. */
  readonly terminal?: boolean;
  /** ANSI colours. */
  readonly colour?: boolean;
  readonly system?: string | undefined;
  readonly settings?: ChatSettings;
  /** Shows beside each message what the host saw of it. */
  readonly showWire?: boolean;
}

const FENCE = '"""';

/**
 * Talks until `/exit` or the end of the input.
 * @throws UnseenError when no host can be reached or it serves another model.
 */
export async function chatLoop(options: ChatLoopOptions): Promise<void> {
  const served = "blind" in options.model ? options.model : serveModel(options.model);
  await connectModel(served);
  const session = new ChatSession(options, new Conversation(served, options.settings ?? {}, options.system));
  await session.run();
}

class ChatSession {
  readonly #options: ChatLoopOptions;
  readonly #conversation: Conversation;
  readonly #reader: Interface;
  #showWire: boolean;
  #answering: AbortController | null = null;
  #ended = false;

  constructor(options: ChatLoopOptions, conversation: Conversation) {
    this.#options = options;
    this.#conversation = conversation;
    this.#showWire = options.showWire ?? false;
    const { input, output, terminal = false } = options;
    this.#reader = createInterface({
      input,
      output: terminal ? output : undefined,
      terminal,
      prompt: terminal ? this.#paint("1", "you › ") : "",
      historySize: 1000,
    });
    this.#reader.on("SIGINT", () => this.#interrupt());
    this.#reader.once("close", () => {
      this.#ended = true;
    });
  }

  /** Piped input ends long before the last answer does; its lines are still to be read then. */
  #prompt(): void {
    if (!this.#ended) this.#reader.prompt();
  }

  async run(): Promise<void> {
    const { id, bundle } = this.#options.model;
    this.#say(this.#paint("2", `${id} · encrypted (${bundle.strength}) · the host sees ids under your key · /help`));
    let lines: string[] | null = null;
    this.#prompt();
    for await (const line of this.#reader) {
      if (lines) {
        // A message of several lines ends where a line ends with the fence.
        if (!line.trimEnd().endsWith(FENCE)) {
          lines.push(line);
          continue;
        }
        lines.push(line.trimEnd().slice(0, -FENCE.length));
        const text = lines.join("\n").trim();
        lines = null;
        if (text) await this.#answer(text);
      } else if (line.trimStart().startsWith(FENCE)) {
        const rest = line.trimStart().slice(FENCE.length);
        if (rest.trimEnd().endsWith(FENCE)) await this.#answer(rest.trimEnd().slice(0, -FENCE.length).trim());
        else {
          lines = [rest];
          continue;
        }
      } else if (!(await this.#handle(line))) break;
      this.#prompt();
    }
    this.#reader.close();
  }

  /** @returns false when the chat is over. */
  async #handle(line: string): Promise<boolean> {
    const command = readCommand(line);
    if (command?.name === "exit") return false;
    if (command) await this.#command(command.name, command.rest);
    else if (line.trim()) await this.#answer(line.trim());
    return true;
  }

  async #command(name: string, rest: string): Promise<void> {
    if (name === "help") this.#say(helpText());
    else if (name === "system") {
      this.#conversation.instruct(rest);
      this.#note(rest ? "the system message is set." : "there is no system message.");
    } else if (name === "reset") {
      this.#conversation.reset();
      this.#note("the conversation is forgotten.");
    } else if (name === "wire") {
      this.#showWire = !this.#showWire;
      this.#note(this.#showWire ? "what the host sees is shown." : "what the host sees is hidden.");
    } else if (name === "save") await this.#save(rest);
    else this.#note(`there is no /${name}. Known: ${commands.map((command) => `/${command.name}`).join(" ")}`);
  }

  async #save(file: string): Promise<void> {
    if (!file) return this.#note("say where: /save FILE");
    try {
      // The text in clear exists on this side alone; it is nobody else's to read (CWE-732).
      await writeFile(file, `${JSON.stringify({ model: this.#options.model.id, messages: this.#conversation.turns }, null, 2)}\n`, {
        mode: 0o600,
      });
      this.#note(`saved to ${file}.`);
    } catch (error) {
      this.#fail(explainSystemError(error, file));
    }
  }

  async #answer(question: string): Promise<void> {
    const answering = (this.#answering = new AbortController());
    const wire = new WireView();
    const parts: string[] = [];
    let thinking = false;
    try {
      const { deltas, forgotten } = this.#conversation.ask(question, answering.signal, wire.record);
      if (forgotten > 0) this.#note(`the oldest ${forgotten} messages no longer fit and were left out.`);
      for await (const delta of deltas) {
        if (delta.kind !== "text" && delta.kind !== "reasoning") continue;
        if (delta.kind === "text" && thinking) this.#options.output.write("\n\n");
        thinking = delta.kind === "reasoning";
        const shown = withoutControls(delta.text);
        this.#options.output.write(thinking ? this.#paint("2", shown) : shown);
        if (!thinking) parts.push(delta.text);
      }
    } catch (error) {
      if (!answering.signal.aborted) this.#fail(error);
    }
    this.#answering = null;
    this.#say(answering.signal.aborted ? this.#paint("2", " [stopped]") : "");
    if (parts.join("").trim()) this.#conversation.answered(parts.join("").trim());
    else this.#conversation.withdraw();
    if (this.#showWire) for (const line of wire.lines()) this.#say(this.#paint("36", line));
  }

  #interrupt(): void {
    if (this.#answering) this.#answering.abort();
    else if (this.#reader.line) {
      // As in a shell: Ctrl-C on a half-typed line drops the line.
      this.#say("");
      this.#reader.write(null, { ctrl: true, name: "u" });
      this.#reader.prompt();
    } else {
      this.#say("");
      this.#note("/exit or Ctrl-D leaves.");
      this.#reader.prompt();
    }
  }

  #fail(error: unknown): void {
    this.#say(this.#paint("31", UnseenError.isInstance(error) ? error.line : "the answer failed for an unknown reason."));
  }

  #note(text: string): void {
    this.#say(this.#paint("2", `(${text})`));
  }

  #say(text: string): void {
    this.#options.output.write(`${text}\n`);
  }

  #paint(code: string, text: string): string {
    return this.#options.colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

/** Text of a model as it may be shown in a terminal: a hostile host can make it spell terminal commands (CWE-150). Line breaks and tabs stay. */
export function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- removing control characters is the point
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
