/**
 * A language model that says how much a text reads like writing.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";

/** Where to ask; whoever answers there sees the texts. */
export interface JudgeAddress {
  /** Of an OpenAI-compatible service, such as `http://127.0.0.1:8080/v1`; `/v1` is added where there is no path. */
  readonly url: string;
  readonly model: string;
  readonly apiKey?: string;
  /** Milliseconds for one answer. */
  readonly timeout?: number;
}

const TIMEOUT = 60_000;
/** Bytes of an answer (CWE-770). */
const MAXIMUM_ANSWER_BYTES = 1_000_000;
/** Characters of the model's words in which a number is looked for (CWE-400). */
const MAXIMUM_WORDS = 2000;

const INSTRUCTION =
  "You rate how much a text reads like fluent, natural writing. Answer with one number from 0 (words in random order) to 10 (fluent), and nothing else.";

const answerForm = z.object({ choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1) });

/** Asks for scores; keeps no text, and logs none. */
export class ChatJudge {
  /** Questions asked. */
  asked = 0;
  /** Questions without a usable answer. */
  unusable = 0;
  readonly #endpoint: URL;
  readonly #address: JudgeAddress;

  /** @throws UnseenError USAGE where the address is not one of HTTP, or has a password in it. */
  constructor(address: JudgeAddress) {
    const base = URL.canParse(address.url) ? new URL(address.url) : null;
    // Names and passwords in a URL end up in logs; fetch refuses them too.
    if (!base || !["http:", "https:"].includes(base.protocol) || base.username !== "" || base.password !== "")
      throw new UnseenError("USAGE", "the judge's address must be a URL of HTTP or HTTPS without a password.", {
        hint: "Give one such as http://127.0.0.1:8080/v1.",
      });
    const path = base.pathname.replace(/\/+$/, "") || "/v1";
    base.pathname = `${path}/chat/completions`;
    this.#endpoint = base;
    this.#address = address;
  }

  /** The score of a text, 0..10; null where no usable answer came. */
  async score(text: string): Promise<number | null> {
    this.asked += 1;
    const score = await this.#ask(text).catch(() => null);
    if (score === null) this.unusable += 1;
    return score;
  }

  async #ask(text: string): Promise<number | null> {
    const { model, apiKey, timeout = TIMEOUT } = this.#address;
    const response = await fetch(this.#endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) },
      body: JSON.stringify({
        model,
        messages: [
          { role: "system", content: INSTRUCTION },
          { role: "user", content: text },
        ],
        temperature: 0,
        max_tokens: 16,
      }),
      // A redirect would take the texts, and the API key, to somebody else.
      redirect: "error",
      signal: AbortSignal.timeout(timeout),
    });
    const body = await readLimited(response);
    const answer = response.ok && body !== null ? answerForm.safeParse(JSON.parse(body)) : null;
    return answer?.success ? scoreIn(answer.data.choices[0]?.message.content ?? "") : null;
  }
}

/** The first number of an answer, where it is a score: "8", "7.5/10", "Score: 3."; null for anything else. */
export function scoreIn(words: string): number | null {
  const [found] = /-?\d+(?:\.\d+)?/.exec(words.slice(0, MAXIMUM_WORDS)) ?? [];
  const score = Number(found ?? Number.NaN);
  return score >= 0 && score <= 10 ? score : null;
}

/** null where the body is longer than what is read. */
async function readLimited(response: Response): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MAXIMUM_ANSWER_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
