/**
 * What may be said of a host that is added in the browser.
 * @module
 */
import { hostRoot } from "@unseen/client/engines/model-list.ts";
import { z } from "zod";

/** Hosts that may be added (CWE-770). */
export const MAXIMUM_HOSTS = 32;

/** Bytes of a request (CWE-770): a policy whose every character is escaped, and a key. */
export const MAXIMUM_BODY_BYTES = 512 * 1024;

/** Root of a host: http or https, without credentials, query or fragment, which would end up in messages and files. */
export const hostUrl = z
  .string()
  .max(2048)
  .refine(isPlainAddress, { error: "expected an http or https address without user name, password, query or fragment" })
  .transform((text) => hostRoot(new URL(text).href));

/** A host as it is kept. */
export const keptHostSchema = z.strictObject({
  url: hostUrl,
  /** What an HTTP header can carry. */
  apiKey: z
    .string()
    .regex(/^[\x21-\x7e]{1,4096}$/, { error: "expected 1 to 4096 letters, digits and signs without spaces" })
    .optional(),
  /** JSON text of an attestation policy. */
  policy: z.string().min(1).max(65_536).optional(),
  model: z.string().min(1).max(256).optional(),
});
export type KeptHost = z.infer<typeof keptHostSchema>;

/** Body of a request to add one; the passphrase is not kept. */
export const newHostSchema = keptHostSchema.extend({ passphrase: z.string().max(4096).optional() });

function isPlainAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" && !/[?#]/.test(url.href);
}
