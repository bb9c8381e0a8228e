/**
 * What the commands around the model hub have in common.
 * @module
 */
import { readFileSync } from "node:fs";
import { UnseenError } from "@unseen/core/errors.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { InvalidArgumentError } from "commander";
import type { OptionSpecification } from "../command.ts";

export interface HubFlags {
  readonly hub: string;
  readonly hubKey?: string;
}

export const hubOption: OptionSpecification = {
  flags: "--hub <url>",
  description: "address of the model hub",
  fallback: "http://127.0.0.1:8810",
};
export const hubKeyOption: OptionSpecification = {
  flags: "--hub-key <key>",
  description: "API key of an account there, or @FILE that holds it",
};

/** A connection as the flags say. @throws UnseenError USAGE without a key */
export function connectHub({ hub, hubKey }: HubFlags): HubClient {
  if (hubKey === undefined)
    throw new UnseenError("USAGE", "no API key for the hub.", {
      hint: "Give --hub-key, or UNSEEN_HUB_KEY; the hub's operator makes one with `unseen hub account`.",
    });
  return new HubClient(hub, readKey(hubKey));
}

function readKey(given: string): string {
  if (!given.startsWith("@")) return given;
  try {
    return readFileSync(given.slice(1), "utf8").trim();
  } catch (cause) {
    throw new UnseenError("USAGE", `the file ${given.slice(1)} with the hub's API key cannot be read.`, {
      hint: "Check its path and mode.",
      cause,
    });
  }
}

/** A parser for numbers in a range. */
export function decimal(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`expected a number from ${minimum} to ${maximum}.`);
    return value;
  };
}

export interface ObfuscationFlags {
  readonly noise?: number;
  readonly bits?: number;
  readonly clip?: number;
  readonly channels?: number;
}

/** The knobs of the obfuscation. */
export const obfuscationOptions: readonly OptionSpecification[] = [
  {
    flags: "--noise <share>",
    description: "standard deviation of the noise on features, as a share of their range (default: 2^-11)",
    parse: decimal(2 ** -14, 10),
  },
  { flags: "--bits <count>", description: "bits per feature that is sent (default: 12)", parse: decimal(2, 16) },
  { flags: "--clip <value>", description: "cut larger features to this magnitude (default: none)", parse: decimal(1e-9, 1e9) },
  { flags: "--channels <share>", description: "share of the channels that is sent (default: 1)", parse: decimal(0.001, 1) },
];
