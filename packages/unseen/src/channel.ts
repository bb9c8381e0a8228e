/**
 * What a command tells the process that started it, beside what it prints: progress, lines, and details that a page shows.
 *
 * It is Node's own channel between parent and child, so a command that a person started has none. When the channel breaks, the parent is
 * gone, however it ended, and the command ends in order as on SIGTERM.
 * @module
 */
import { z } from "zod";

/** Characters of a line; the rest is cut off. */
export const MAXIMUM_LINE = 2000;
/** Characters of a bar's label. */
const MAXIMUM_LABEL = 200;
const REPORT_MILLISECONDS = 100;
/** How long the command may take to end after its parent did. */
const ENDING_MILLISECONDS = 10_000;

const progressSchema = z.object({
  label: z.string().max(MAXIMUM_LABEL),
  done: z.number().min(0),
  /** 0: unknown. */
  total: z.number().min(0),
});

/** What passes, as the parent checks it (CWE-20). */
export const channelMessageSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("progress"), progress: progressSchema.nullable() }),
  z.object({ kind: z.literal("line"), line: z.string().max(MAXIMUM_LINE) }),
  z.object({ kind: z.literal("detail"), detail: z.object({ kind: z.string().min(1).max(40), value: z.unknown() }) }),
]);

export type ChannelMessage = z.output<typeof channelMessageSchema>;

/** The child's side. */
export interface Channel {
  /** False once the parent is gone: then nobody reads what is printed either. */
  readonly isOpen: boolean;
  /** Several lines are told one by one; empty ones are left out. */
  line(text: string): void;
  detail(kind: string, value: unknown): void;
  progress(label: string): ChannelProgress;
}

/** One bar. */
export interface ChannelProgress {
  /** Told about ten times a second, and always when all is done. */
  update(done: number, total: number): void;
  end(): void;
}

let opened: Channel | null | undefined;

/** The channel to the process that started this one; null where a person, or a program without interest, did. */
export function openChannel(): Channel | null {
  opened ??= process.send ? connect() : null;
  return opened;
}

function connect(): Channel {
  process.once("disconnect", endInOrder);
  // Listening must not keep a command alive whose work is done.
  process.channel?.unref();
  if (!process.connected) endInOrder();
  const send = (message: ChannelMessage): void => {
    // A parent that goes away in this moment is noticed by the event.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  };
  return {
    get isOpen() {
      return process.connected;
    },
    line(text) {
      for (const line of text.split("\n")) if (line.trim() !== "") send({ kind: "line", line: line.slice(0, MAXIMUM_LINE) });
    },
    detail: (kind, value) => send({ kind: "detail", detail: { kind, value } }),
    progress(label) {
      const shown = label.trim().slice(0, MAXIMUM_LABEL);
      let told = -Infinity;
      return {
        update(done, total) {
          const now = performance.now();
          if (now - told < REPORT_MILLISECONDS && done < total) return;
          told = now;
          send({ kind: "progress", progress: { label: shown, done, total } });
        },
        end: () => send({ kind: "progress", progress: null }),
      };
    },
  };
}

/** Every command ends in order on SIGTERM; one that cannot is ended. */
function endInOrder(): void {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.kill(process.pid, "SIGKILL"), ENDING_MILLISECONDS).unref();
}
