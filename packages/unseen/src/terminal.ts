/**
 * What commands print: one JSON object on stdout with `--json`, prose without; progress on stderr. Where another program of ours started the
 * command, it is told the same on a channel.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { openChannel, type Channel } from "./channel.ts";

export interface Terminal {
  readonly json: boolean;
  /** A line of the result; silent with `--json`. */
  print(line?: string): void;
  /** Text without a newline, for streams; silent with `--json`. */
  write(text: string): void;
  /** A remark on stderr. */
  note(line: string): void;
  /** A progress bar on stderr. */
  progress(label: string): Progress;
  /** Whether anybody gets details. */
  readonly detailed: boolean;
  /** Something that happened and that a page shows; nothing for who reads text. */
  detail(kind: string, value: object): void;
  /** The one object of `--json`. */
  result(value: object): void;
}

export interface Progress {
  update(done: number, total: number): void;
  end(): void;
}

/** A terminal over the process's streams, or over given ones; and over the channel to whoever started the process. */
export function createTerminal(
  json: boolean,
  streams: { stdout: NodeJS.WritableStream; stderr: NodeJS.WritableStream & { isTTY?: boolean } } = process,
  channel: Channel | null = openChannel(),
): Terminal {
  const { stdout, stderr } = streams;
  // Writing where nobody reads ends the process at once, and it has to clean up first.
  const readable = (): boolean => channel === null || channel.isOpen;
  return {
    json,
    print(line = "") {
      channel?.line(line);
      if (!json && readable()) stdout.write(`${line}\n`);
    },
    write: (text) => void (json || !readable() || stdout.write(text)),
    note(line) {
      channel?.line(line);
      if (readable()) stderr.write(`${line}\n`);
    },
    progress: (label) => channel?.progress(label) ?? progressBar(label, stderr),
    detailed: channel !== null,
    detail: (kind, value) => channel?.detail(kind, value),
    result: (value) => void (json && readable() && stdout.write(`${JSON.stringify(value)}\n`)),
  };
}

const BAR_WIDTH = 28;
const REDRAW_MILLISECONDS = 100;

/** Redraws one line on a terminal; elsewhere it says every ten percent. */
function progressBar(label: string, stream: NodeJS.WritableStream & { isTTY?: boolean }): Progress {
  const started = performance.now();
  let drawn = -Infinity;
  let reported = 0;
  return {
    update(done, total) {
      const share = total > 0 ? done / total : 1;
      const now = performance.now();
      const seconds = (now - started) / 1000;
      const left = share > 0.01 ? `${Math.ceil((seconds / share) * (1 - share))} s left` : "";
      if (!stream.isTTY) {
        if (share - reported < 0.1 || seconds < 2) return;
        reported = share;
        stream.write(`${label} ${Math.floor(share * 100)} %, ${left}\n`);
      } else if (now - drawn > REDRAW_MILLISECONDS || done >= total) {
        drawn = now;
        const filled = Math.round(share * BAR_WIDTH);
        stream.write(
          `\r${label} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${String(Math.floor(share * 100)).padStart(3)} % ${left.padEnd(14)}`,
        );
      }
    },
    end() {
      if (stream.isTTY && drawn > 0) stream.write("\r\u001B[K");
    },
  };
}

/** One line for a person; with `--json` the same as an object on stdout. */
export function reportFailure(error: unknown, terminal: Terminal): void {
  const known = UnseenError.isInstance(error);
  const message = error instanceof Error ? error.message : String(error);
  terminal.result({ error: { code: known ? error.code : "INTERNAL", message, ...(known && error.hint ? { hint: error.hint } : {}) } });
  terminal.note(`unseen: ${known ? error.line : message}`);
  if (!known && process.env["UNSEEN_DEBUG"] && error instanceof Error) terminal.note(error.stack ?? "");
}
