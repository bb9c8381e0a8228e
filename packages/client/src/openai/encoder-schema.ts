/**
 * `POST /v1/embeddings`, `/classify`, `/v1/rerank`: the fields that are honoured.
 * @module
 */
import { z } from "zod";

/** Inputs of one request (CWE-770); OpenAI's figure. */
const MAXIMUM_INPUTS = 2048;
const MAXIMUM_PICTURES = 64;

const ids = z.array(z.int().nonnegative()).min(1);
const model = z.string().max(256).nullish();

/** A text, plain token ids, or a list of either. */
const input = z.union([z.string(), ids, z.array(z.string()).min(1).max(MAXIMUM_INPUTS), z.array(ids).min(1).max(MAXIMUM_INPUTS)]);

/** Pictures as base64 or as `data:` URL. */
const pictureFields = {
  image: z.string().nullish(),
  images: z.array(z.string()).min(1).max(MAXIMUM_PICTURES).nullish(),
};

export const embeddingsSchema = z.object({
  model,
  input: input.nullish(),
  ...pictureFields,
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  /** Ours: vectors as the host made them, for a database that shall not read them. */
  encrypted: z.boolean().nullish(),
});

export const classifySchema = z.object({ model, input: input.nullish(), ...pictureFields });

const document = z.union([z.string(), z.object({ text: z.string() })]);

export const rerankSchema = z.object({
  model,
  query: z.string(),
  documents: z.array(document).min(1).max(MAXIMUM_INPUTS),
  top_n: z.int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
});

export type InputRequest = Pick<z.output<typeof embeddingsSchema>, "input" | "image" | "images">;
export type RerankRequest = z.output<typeof rerankSchema>;
