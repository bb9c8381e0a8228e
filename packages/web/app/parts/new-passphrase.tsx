/**
 * A passphrase that is chosen: typed twice.
 * @module
 */
import type { JSX } from "preact";
import { TextField } from "./field.tsx";

/** What was typed. */
export interface TypedTwice {
  readonly first: string;
  readonly again: string;
}

export const NOTHING_TYPED: TypedTwice = { first: "", again: "" };

/** What is wrong with it, for a person; null where nothing is. */
export function passphraseMistake({ first, again }: TypedTwice): string | null {
  if (first === "") return "An empty passphrase protects nothing. Type several random words.";
  return first === again ? null : "The two are not the same.";
}

export function NewPassphrase({
  name,
  typed,
  mistake,
  onInput,
}: {
  readonly name: string;
  readonly typed: TypedTwice;
  readonly mistake: string | null;
  readonly onInput: (typed: TypedTwice) => void;
}): JSX.Element {
  return (
    <>
      <TextField
        name={name}
        hint="Several random words. Nobody can reset it."
        type="password"
        autocomplete="new-password"
        value={typed.first}
        onInput={(first) => onInput({ ...typed, first })}
        required
      />
      <TextField
        name="The same again"
        type="password"
        autocomplete="new-password"
        value={typed.again}
        onInput={(again) => onInput({ ...typed, again })}
        mistake={mistake}
        required
      />
    </>
  );
}
