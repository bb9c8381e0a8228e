/**
 * What a job is: command lines of this program, one after the other.
 * @module
 */

/** One command line. */
export interface Step {
  /** Such as `["shares", "serve"]`. */
  readonly command: readonly string[];
  /** Each whole, `--flag` or `--flag=value`: no value can become a flag (CWE-88). */
  readonly options?: readonly string[];
  /** Stand behind `--`, where nothing is a flag. */
  readonly operands?: readonly string[];
  /** Secrets and content, which every user of the machine could read among a process's arguments (CWE-214). */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Of this process's environment, in addition to what every command gets. */
  readonly inherits?: readonly string[];
  /** `UNSEEN_HOME`, where it is not the key holder's: of a host, which needs no keyring. */
  readonly home?: string;
  /** What it reads on standard input. */
  readonly input?: Uint8Array;
  /** What to show instead of the end of its command line. */
  readonly shownOperands?: string;
}

/** All of one job. */
export interface Plan {
  /** What it works on, for a person. */
  readonly subject: string;
  readonly steps: readonly [Step, ...Step[]];
  /** The last step prints its object when it is ready, and runs on. */
  readonly serves?: boolean;
  /** Path that it will make, which no other job may choose meanwhile. */
  readonly output?: string;
  /** Removes what was made for this job alone, however it ended. */
  readonly cleanUp?: () => Promise<void>;
}

/** Arguments of the program for a step. */
export function argumentsOf({ command, options = [], operands = [] }: Step): string[] {
  return [...command, ...options, "--json", ...(operands.length > 0 ? ["--", ...operands] : [])];
}

/** The command lines that do the same, for a shell; secrets and content left out. */
export function shownCommand({ steps }: Plan): string {
  return steps.map(shownStep).join(" && ");
}

function shownStep({ command, options = [], operands = [], shownOperands }: Step): string {
  const dashed = operands.some((operand) => operand.startsWith("-")) ? ["--"] : [];
  const rest = shownOperands === undefined ? [...dashed, ...operands.map(quoted)] : [shownOperands];
  return ["npx", "unseen", ...command, ...options.map(quotedOption), ...rest].join(" ");
}

/** `--flag value` reads better than `--flag=value`, where the value cannot be taken for a flag. */
function quotedOption(option: string): string {
  const at = option.indexOf("=");
  if (at < 0) return option;
  const [flag, value] = [option.slice(0, at), option.slice(at + 1)];
  return value.startsWith("-") || value === "" ? `${flag}=${quoted(value)}` : `${flag} ${quoted(value)}`;
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
