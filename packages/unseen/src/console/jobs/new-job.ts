/**
 * Checks what a page asks for. The command checks again what it gets; here values get their form and their limits.
 * @module
 */
import { z } from "zod";

/** Characters of a path (CWE-770). */
const MAXIMUM_PATH = 4096;
/** Characters of a picture's base64 (CWE-770): 11 MiB of a file. */
const MAXIMUM_PICTURE = 15 * 1024 * 1024;
/** Characters of a contest's prompt or response (CWE-770): they go to the command in its environment. */
const MAXIMUM_TEXT = 30_000;
/** Characters of a policy (CWE-770). */
const MAXIMUM_POLICY = 1024 * 1024;

/** Text that can be an argument or a variable of a process, which ends at a NUL (CWE-626). */
const text = (most: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\0]*$/, "must hold no NUL");

const path = text(MAXIMUM_PATH);
/** A name in the keyring and no path: the page has no business with other key files. */
const key = z.string().regex(/^[A-Za-z0-9][\w.-]{0,63}$/, "must be the name or id of a key in the keyring");
const name = z.string().regex(/^[A-Za-z0-9][\w.-]{0,99}$/, "must be up to 100 letters, digits, dots, hyphens and underscores");
/** Names as the lab gives them; `what` each is the name of. */
const names = (what: string) =>
  z
    .array(z.string().regex(/^[a-z0-9-]{1,60}$/, `must be the name of ${what}`))
    .min(1)
    .max(100)
    .readonly();
const passphrase = text(1024).optional();
const cut = z.int().min(1).max(100);
const noise = z
  .number()
  .min(2 ** -14)
  .max(10);
const bits = z.int().min(2).max(16);

/** Repository and model names on a hub. */
const hubModel = z.string().regex(/^[a-z0-9][a-z0-9-]{0,99}(?:@[0-9a-f]{1,64})?$/, "must be NAME or NAME@VERSION");

export const newJobSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("pull"),
    repository: z.string().regex(/^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/, "must be ORG/NAME"),
    revision: z
      .string()
      .regex(/^[A-Za-z0-9][\w./-]{0,199}$/, "must be a branch, tag or commit")
      .optional(),
  }),
  z.object({
    kind: z.literal("encrypt"),
    model: path,
    strength: z.enum(["permute", "rotate"]),
    key,
    name: name.optional(),
    format: z.enum(["safetensors", "gguf"]).optional(),
    precision: z.enum(["f32", "f16", "bf16"]).optional(),
    passphrase,
  }),
  z.object({ kind: z.literal("serve"), model: path, plain: z.boolean().optional() }),
  z.object({
    kind: z.literal("attack"),
    model: path,
    base: path.optional(),
    traffic: path.optional(),
    attacks: names("an attack").optional(),
    keys: z.int().min(1).max(100),
    budget: z.int().min(1).max(86_400),
    defences: names("a defence").optional(),
    passphrase,
  }),
  z.object({ kind: z.literal("share"), model: path, bits: z.union([z.literal(8), z.literal(16)]), key, name: name.optional(), passphrase }),
  z.object({ kind: z.literal("serve-shares"), directory: path }),
  z.object({
    kind: z.literal("compare"),
    model: path.optional(),
    /** Milliseconds. */
    roundTrip: z.int().min(0).max(10_000).optional(),
    quick: z.boolean().optional(),
  }),
  z.object({ kind: z.literal("cuts"), model: path.optional() }),
  z.object({ kind: z.literal("leak"), model: path.optional(), cut, noise, bits, effort: z.enum(["quick", "full"]) }),
  z.object({
    kind: z.literal("private-run"),
    picture: z.string().min(1).max(MAXIMUM_PICTURE),
    hub: z
      .object({
        url: z.url({ protocol: /^https?$/ }).max(2000),
        // A leading @ would name a file, whose content would go to the hub (CWE-73).
        key: text(1024).regex(/^[^@]/, "must be the key itself, not the name of a file"),
        model: hubModel,
        policy: text(MAXIMUM_POLICY),
      })
      .optional(),
    cut,
    scheme: z.enum(["ckks", "bfv"]).optional(),
    noise: noise.optional(),
    bits: bits.optional(),
  }),
  z.object({
    kind: z.literal("contest"),
    date: z.iso.date().optional(),
    prompt: text(MAXIMUM_TEXT).optional(),
    response: text(MAXIMUM_TEXT).optional(),
    practice: z.boolean().optional(),
    model: text(200).optional(),
    passphrase,
  }),
]);

/** A request of a known form; `Asked<"encrypt">` is one of that kind. */
export type AskedJob = z.output<typeof newJobSchema>;
export type Asked<Kind extends AskedJob["kind"]> = Extract<AskedJob, { readonly kind: Kind }>;
