/**
 * The README.md of an encrypted model: what it is, what it is worth, and nothing that helps to read it.
 * @module
 */
import type { Blueprint, EncoderBlueprint } from "./family.ts";
import type { Manifest } from "./manifest.ts";

/** The text of the card, Markdown with YAML front matter. */
export function modelCard(manifest: Manifest, blueprint: Blueprint, format: "safetensors" | "gguf"): string {
  const { kind, architecture } = blueprint;
  if (kind === "encoder") return encoderCard(manifest, blueprint);
  const engines =
    format === "gguf"
      ? "llama.cpp (`llama-server -m model.gguf`) or `unseen serve .`"
      : "vLLM (`vllm serve . --skip-tokenizer-init`), SGLang (`--skip-tokenizer-init`), `transformers`, or `unseen serve .`";
  return `---
library_name: ${format === "gguf" ? "llama.cpp" : "transformers"}
pipeline_tag: text-generation
tags: [unseen, equivariant-encryption]
---

# An encrypted ${architecture.family} model

Its weights and its vocabulary are transformed under a key that is not here. It takes token ids and gives
token ids; which words they stand for is known to the key's owner alone. There is no tokenizer in this
directory, and none is needed to serve it.

- Scheme: Unseen equivariant encryption, version ${manifest.version}, strength \`${manifest.strength}\`
- Fingerprint: \`${manifest.fingerprint}\`
- Vocabulary: ${manifest.vocabularySize} ids, permuted as a whole, special ones included
- Serve with: ${engines}
- Talk to it with: \`unseen gateway\` on the key owner's machine

## What this protects, and what not

Logs, caches, networks and curious eyes see numbers without words. ${LIMITS}
`;
}

const LIMITS = `Much traffic
of a known kind can be deciphered from the ids alone. Someone who holds these files **and** the
public model that they were made from can match the two and recover the vocabulary: against a determined
operator of a public model this is obfuscation, not encryption. See the threat model in Unseen's documentation.

## Licence

The licence of the model that was encrypted applies to these weights; ask whoever gave them to you.`;

const TASKS: Readonly<Record<string, string>> = {
  "sequence-classes": "text-classification",
  "token-classes": "token-classification",
  masked: "fill-mask",
};

function encoderCard(manifest: Manifest, { architecture, outputs, vocabulary }: EncoderBlueprint): string {
  const pictures = architecture.towers.some(({ input }) => input.kind === "patches");
  const task = !pictures ? TASKS[architecture.head] : architecture.head === "sequence-classes" ? "image-classification" : undefined;
  const takes = [
    ...(vocabulary ? ["token ids, whose words only the key's owner knows"] : []),
    ...(pictures ? ["pictures, **in clear**"] : []),
  ].join(", and ");
  return `---
library_name: transformers
pipeline_tag: ${task ?? "feature-extraction"}
tags: [unseen, equivariant-encryption]
---

# An encrypted ${architecture.family} model

Its weights${vocabulary ? " and its vocabulary" : ""} are transformed under a key that is not here. It takes ${takes}, and gives
numbers that only that owner can read. There is no tokenizer and no list of classes in this directory, and none is needed to serve it.

- Scheme: Unseen equivariant encryption, version ${manifest.version}, strength \`${manifest.strength}\`
- Fingerprint: \`${manifest.fingerprint}\`
${vocabulary ? `- Vocabulary: ${manifest.vocabularySize} ids, permuted${vocabulary.id === "vocabulary" ? " as a whole, special ones included" : "; the padding id keeps its number, from which positions count"}\n` : ""}- Enciphered outputs: ${outputs.map(({ name }) => `\`${name}\``).join(", ")}
- Load with: \`transformers\` (${architecture.family})

## What this protects, and what not

${pictures ? "The pictures reach this model as they are: whoever runs it sees them. What it finds in them is hidden. " : "Logs, caches, networks and curious eyes see numbers without words. "}${LIMITS}
`;
}
