/**
 * Bytes as they passed: as text where they are text, else in hexadecimal.
 * @module
 */
import type { JSX } from "preact";
import { asText, hexRows } from "./bytes.ts";
import { byteSize } from "./numbers.ts";

/** Bytes that are shown of more; the rest is counted. */
const SHOWN = 16_384;

export function ByteView({
  bytes,
  total,
  label,
}: {
  readonly bytes: Uint8Array;
  readonly total: number;
  readonly label: string;
}): JSX.Element {
  const shown = bytes.subarray(0, SHOWN);
  const text = asText(shown);
  return (
    <figure class="stack">
      <pre class={text === null ? "output hex" : "output"} tabIndex={0} aria-label={label}>
        {text ?? hexRows(shown).join("\n")}
      </pre>
      {total > shown.length && (
        <figcaption class="small quiet">
          The first {byteSize(shown.length)} of {byteSize(total)}.
        </figcaption>
      )}
    </figure>
  );
}
