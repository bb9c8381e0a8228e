/**
 * The protections that are compared, in the order in which they are shown, and what each leaves to see.
 * @module
 */
import type { ProtectionId, ProtectionRow } from "@unseen/web/protocol/comparison.ts";

const EE_LEARNS =
  "The machine sees cipher ids and an encrypted model. If it has the public model too, it reads the text: within seconds, as the lab measured on the bundled one.";

const LEARNS: Readonly<Record<ProtectionId, string>> = {
  plain: "The machine learns everything: prompt, answer, model.",
  permute: EE_LEARNS,
  rotate: EE_LEARNS,
  attested:
    "With real hardware that holds: number of tokens and timing. Here the enclave is a simulator, which protects nothing: this measures the protocol, not the hardware.",
  servers: "Each server alone: the model, the number of tokens, timing. Both together: what EE alone shows.",
  "distant-servers": "Each server alone: the model, the number of tokens, timing. Both together: what EE alone shows.",
};

/** What who computes the first layers on ciphertext learns, and who computes the rest. */
export const HEAD_LEARNS =
  "The machine that computes on ciphertext: nothing but sizes and timing. The model's creator: the features that come out, which tell something of the picture.";

/** Rows without any figure yet. @param roundTrip - Milliseconds to distant servers; 0 leaves them out. */
export function openRows(roundTrip: number): ProtectionRow[] {
  const names: readonly (readonly [ProtectionId, string, number | null])[] = [
    ["plain", "No protection", null],
    ["permute", "EE, permute", null],
    ["rotate", "EE, rotate", null],
    ["attested", "EE in an enclave, simulated", null],
    ["servers", "Two servers, nearby", 0],
    ...(roundTrip > 0 ? [["distant-servers", `Two servers, ${roundTrip} ms away`, roundTrip] as const] : []),
  ];
  return names.map(([id, name, distance]) => ({
    id,
    name,
    learns: LEARNS[id],
    tokensPerSecond: null,
    firstTokenSeconds: null,
    overhead: null,
    overheadRange: null,
    fidelity: null,
    bytesPerToken: null,
    answerTokens: null,
    rounds: 0,
    roundTrip: distance,
    refusal: null,
  }));
}
