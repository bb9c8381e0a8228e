/**
 * A small real tokenizer, template and key, and a stand-in host that can be told what to say, for tests.
 * @module
 */
import type { Bundle } from "../bundle.ts";
import { ScriptedHost, type HostScript, type ReceivedBody, type Step } from "../engines/scripted-host.fixture.ts";
import { VllmEngine } from "../engines/vllm.ts";
import { TokenCipher } from "../token-cipher.ts";
import { TextTokenizer } from "../tokenizer.ts";
import type { GatewayModel } from "./model.ts";

/** Larger than the tokenizer's 264 tokens, as embedding tables often are. */
export const VOCABULARY = 300;
export const FINGERPRINT = "0123456789abcdef0123456789abcdef";

const specials = ["<|bos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "[TOOL_CALLS]", "<think>"];
export const BOS = 256;
export const END = 260;

/** Knows system messages, tools and tool answers. */
export const FULL_TEMPLATE =
  "{{ bos_token }}{% if tools %}<|system|>Tools: {{ tools | tojson }}<|end|>{% endif %}" +
  "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}<|end|>{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% if thinking %}<think>{% endif %}{% endif %}";

/** Drops system messages and knows no tools, like story-llama's. */
export const PLAIN_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{% if message.role in ['user', 'assistant'] %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% endif %}";

/** One token per byte (GPT-2's alphabet) and a few special tokens, one of which may fill sequences up. */
export function testTokenizer(chatTemplate = FULL_TEMPLATE, padding: string | null = null): TextTokenizer {
  const vocabulary: Record<string, number> = {};
  let extra = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    vocabulary[String.fromCodePoint(visible ? byte : 256 + extra)] = byte;
    if (!visible) extra += 1;
  }
  const tokenizerJson = {
    version: "1.0",
    added_tokens: specials.map((content, index) => ({
      id: 256 + index,
      content,
      special: content !== "<think>",
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<|bos|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ SpecialToken: { id: "<|bos|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<|bos|>": { id: "<|bos|>", ids: [BOS], tokens: ["<|bos|>"] } },
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocabulary,
      merges: [],
    },
  };
  const named = { bos_token: "<|bos|>", eos_token: "<|end|>", ...(padding === null ? {} : { pad_token: padding }) };
  const tokenizerConfig = { ...named, tokenizer_class: "PreTrainedTokenizerFast" };
  return TextTokenizer.fromFiles({
    tokenizerJson: JSON.stringify(tokenizerJson),
    tokenizerConfig: JSON.stringify(tokenizerConfig),
    chatTemplate,
  });
}

/** Multiplication by a unit modulo the vocabulary: no id stays in place but 0. */
export const testCipher = new TokenCipher(Uint32Array.from({ length: VOCABULARY }, (_, id) => (id * 77 + 13) % VOCABULARY));

export function testBundle(changes: Partial<Bundle> = {}): Bundle {
  return {
    version: 1,
    fingerprint: FINGERPRINT,
    name: "test-model",
    keyId: "0123456789abcdef",
    strength: "permute",
    family: "llama",
    vocabularySize: VOCABULARY,
    contextLength: 4096,
    created: "2026-11-21T00:00:00.000Z",
    eosIds: [END],
    bosId: BOS,
    generation: {},
    ...changes,
  };
}

export const hostModel = {
  id: "host-name",
  object: "model",
  owned_by: "unseen",
  max_model_len: 4096,
  unseen: { fingerprint: FINGERPRINT, vocabularySize: VOCABULARY },
};

/** Cipher ids of a text. */
export function secret(text: string): number[] {
  return testCipher.encipher(tokenizer.encode(text, { specialTokens: false, parseSpecial: true }));
}

/** The prompt that a host received, in clear. */
export function deciphered(body: ReceivedBody): string {
  return tokenizer.decode(testCipher.decipher(body.prompt), { skipSpecialTokens: false });
}

const tokenizer = testTokenizer();

/** Says a text, a few ids at a time, then ends as a model does: with the end token. */
export function says(text: string, size = 3): Step[] {
  const ids = secret(text);
  const steps: Step[] = [];
  for (let start = 0; start < ids.length; start += size) steps.push({ ids: ids.slice(start, start + size) });
  return [...steps, { ids: testCipher.encipher([END]), finish: "stop" }];
}

/** A host that answers by `answer`, or says one text to all. */
export function startHost(answer: HostScript["answer"] | string, changes: Partial<HostScript> = {}): Promise<ScriptedHost> {
  return ScriptedHost.start({ models: [hostModel], answer: typeof answer === "string" ? () => says(answer) : answer, ...changes });
}

/** A model on these hosts. */
export function modelOn(
  hosts: readonly ScriptedHost[],
  changes: Partial<Bundle> & { template?: string; silence?: number } = {},
): GatewayModel {
  const { template, silence = 5_000, ...bundle } = changes;
  const engines = hosts.map((host) => new VllmEngine({ url: host.url, silence }));
  return { id: "test-model", bundle: testBundle(bundle), tokenizer: testTokenizer(template), cipher: testCipher, engines };
}
