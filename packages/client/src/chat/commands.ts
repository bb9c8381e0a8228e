/**
 * What can be typed instead of a message.
 * @module
 */

export interface Command {
  readonly name: string;
  readonly usage: string;
  readonly meaning: string;
}

/** Every command of the terminal chat, as `/help` lists them. */
export const commands: readonly Command[] = [
  { name: "help", usage: "/help", meaning: "show this list" },
  { name: "system", usage: "/system TEXT", meaning: "tell the model how to behave; without TEXT, no longer" },
  { name: "reset", usage: "/reset", meaning: "forget the conversation" },
  { name: "wire", usage: "/wire", meaning: "show or hide what the host sees" },
  { name: "save", usage: "/save FILE", meaning: "write the conversation to a file, readable by you alone" },
  { name: "exit", usage: "/exit", meaning: "leave; so does Ctrl-D" },
];

/** The list that `/help` prints. */
export function helpText(): string {
  const width = Math.max(...commands.map((command) => command.usage.length));
  const lines = commands.map((command) => `  ${command.usage.padEnd(width)}  ${command.meaning}`);
  return [
    ...lines,
    `  ${'"""'.padEnd(width)}  begin and end a message of several lines`,
    `  ${"Ctrl-C".padEnd(width)}  stop the answer`,
  ].join("\n");
}

/** Splits `/name rest`; null when the line is a message. A path or a double slash is one too. */
export function readCommand(line: string): { readonly name: string; readonly rest: string } | null {
  const match = /^\/([a-z]+)(?:\s+(.*))?$/s.exec(line.trim());
  if (!match) return null;
  const name = match[1] === "quit" || match[1] === "bye" ? "exit" : match[1]!;
  return { name, rest: match[2]?.trim() ?? "" };
}
