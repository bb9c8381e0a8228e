/**
 * One shape for every command: options that are environment variables too, `--json`, exit codes.
 * @module
 */
import { InvalidArgumentError, Option, type Command } from "commander";
import { createTerminal, reportFailure, type Terminal } from "./terminal.ts";

/** An option; its value also comes from `env`, by default `UNSEEN_` and the flag's name. */
export interface OptionSpecification {
  readonly flags: string;
  readonly description: string;
  readonly env?: string;
  readonly fallback?: string | boolean | readonly string[];
  readonly choices?: readonly string[];
  /** May be given several times; as an environment variable, separated by commas. */
  readonly repeated?: boolean;
  readonly parse?: (value: string) => unknown;
}

export interface CommandSpecification<Options> {
  readonly name: string;
  readonly description: string;
  /** In commander's notation, `<required>` and `[optional]`. */
  readonly arguments?: readonly (readonly [string, string])[];
  readonly options?: readonly OptionSpecification[];
  /** Does the work, prints with the terminal, and returns what `--json` shows; an exit code where it is not 0. */
  run(input: {
    readonly options: Options;
    readonly values: readonly (string | undefined)[];
    readonly terminal: Terminal;
  }): Promise<object | void>;
}

/** A result with which a command says that it worked but the answer is no. */
export const EXIT_CODE = Symbol("exit code");

/** Adds a command to a parent. */
export function addCommand<Options>(parent: Command, specification: CommandSpecification<Options>): Command {
  const command = parent.command(specification.name).description(specification.description);
  for (const [name, description] of specification.arguments ?? []) command.argument(name, description);
  for (const option of specification.options ?? []) command.addOption(makeOption(option));
  command.addOption(makeOption({ flags: "--json", description: "print one JSON object on stdout" }));
  command.action(async (...received: unknown[]) => {
    const values = received.slice(0, specification.arguments?.length ?? 0) as (string | undefined)[];
    const options = command.opts<Options & { json?: boolean }>();
    const terminal = createTerminal(options.json === true);
    try {
      const result = await specification.run({ options, values, terminal });
      if (!result) return;
      terminal.result(result);
      const code = (result as { [EXIT_CODE]?: number })[EXIT_CODE];
      if (code !== undefined) process.exitCode = code;
    } catch (error) {
      reportFailure(error, terminal);
      process.exitCode = 1;
    }
  });
  return command;
}

const SAYS_OFF: ReadonlySet<string> = new Set(["", "0", "false", "no", "off"]);

/** An option without a value. */
function isSwitch(flags: string): boolean {
  return !/[<[]/.test(flags);
}

function makeOption(specification: OptionSpecification): Option {
  const option = new Option(specification.flags, specification.description);
  const variable = specification.env ?? `UNSEEN_${option.name().replaceAll("-", "_").toUpperCase()}`;
  // A switch is off when its variable says so; commander would take any value for on.
  const given = process.env[variable];
  if (given === undefined || !isSwitch(specification.flags) || !SAYS_OFF.has(given.toLowerCase())) option.env(variable);
  if (specification.choices) option.choices(specification.choices);
  if (specification.repeated) {
    option.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), ...value.split(",")]);
  } else if (specification.parse) option.argParser(specification.parse);
  const { fallback, parse } = specification;
  if (fallback !== undefined) option.default(parse && typeof fallback === "string" ? parse(fallback) : fallback);
  return option;
}

/** Parses a whole number of at least `minimum`, for {@link OptionSpecification.parse}. */
export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (value.trim() === "" || !Number.isSafeInteger(number) || number < minimum || number > maximum) {
      throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
    }
    return number;
  };
}
