/**
 * What each protection promises and what it does not. Facts and figures are those of the README and of `docs/threat-model.md`.
 * @module
 */

/** A figure, and the command that prints it. */
export interface Figure {
  readonly text: string;
  readonly command: string;
}

export interface ProtectionFacts {
  readonly name: string;
  /** In whole words. */
  readonly title: string;
  /** What the untrusted machine gets. */
  readonly gets: string;
  readonly cost: string;
  readonly restsOn: string;
  /** Whom it is for. */
  readonly helps: string;
  readonly doesNot: string;
  readonly figures: readonly Figure[];
  /** More of it, in the program's documents. */
  readonly guide: string;
  readonly page: { readonly path: string; readonly label: string };
}

export const protections: readonly ProtectionFacts[] = [
  {
    name: "EE",
    title: "Equivariant encryption",
    gets: "An ordinary model file whose weights and token ids are transformed under your key.",
    cost: "Nothing at run time: the same shapes, the same operations.",
    restsOn: "Obfuscation: whoever has the public model can undo it.",
    helps: "Logs, caches, backups, support staff and a proxy on the way. The host too, if the model and all its relatives are private.",
    doesNot:
      "Keep your words from a host that has the public model and wants to read them, nor from somebody who records much traffic under one key and knows texts of its kind.",
    figures: [
      {
        text: "A host with the public model recovers 4,096 of 4,096 token ids of story-llama, at either strength.",
        command: "npm run prove -- lab/weights",
      },
      {
        text: "From recorded ids alone, 5 % of the tokens of unseen text are read after 1,000 recorded tokens, 69 % after 10,000, 86 % after 100,000 of a known kind.",
        command: "npm run prove -- lab/traffic",
      },
      { text: "Encrypted against plain, decoding runs at 0.97 to 1.03 times the speed.", command: "npm run bench -- decode" },
    ],
    guide: "docs/guides/encrypting-a-model.md",
    page: { path: "/models", label: "Encrypt a model" },
  },
  {
    name: "EE + TEE",
    title: "The same, inside an attested enclave",
    gets: "The same, inside an enclave that its operator cannot look into while the hardware holds.",
    cost: "TLS, and what the hardware takes.",
    restsOn: "The hardware's vendor, and a measurement that you check.",
    helps: "The host with the public model, as long as the enclave holds.",
    doesNot:
      "Outlive broken hardware: then it is worth what EE is worth. Lengths and timing stay visible. Here it was tested against a simulator, which protects nothing, and never on TDX hardware.",
    figures: [],
    guide: "docs/guides/attested-chat.md",
    page: { path: "/models/hosts", label: "Add a host with a policy" },
  },
  {
    name: "FHE head",
    title: "First layers on ciphertext, for pictures",
    gets: "Ciphertext for the first layers of an image model, obfuscated features for the rest.",
    cost: "Seconds for a picture.",
    restsOn: "The RLWE problem, and a measured leak of the features.",
    helps: "The machine that computes the first layers: it has no key that decrypts.",
    doesNot:
      "Hide the picture from the model's creator, who gets the features and can rebuild pictures from them. It does nothing for text. A creator that answers wrongly is not noticed.",
    figures: [
      {
        text: "From the features the creator rebuilds X-rays at 69.9, 57.5 and 38.4 dB behind cuts 1, 2 and 3: nearly the pictures.",
        command: "npm run prove -- xray/leak",
      },
      { text: "The first layers take 2,000 to 16,000 times as long, 23 to 279 ms.", command: "npm run prove -- xray/slowdown" },
    ],
    guide: "docs/guides/private-pictures.md",
    page: { path: "/pictures", label: "Try it with a picture" },
  },
  {
    name: "HSS-EE",
    title: "Two servers",
    gets: "Each server gets uniformly random numbers.",
    cost: "Network round trips, four for each layer and token.",
    restsOn: "The two servers do not work together, and AES-256.",
    helps: "Each server alone, also with the public model. A server that answers wrongly is noticed and named.",
    doesNot:
      "Help if both servers work together or have one owner: then it is worth what EE is worth. No program can see who owns an address. Lengths and timing stay visible.",
    figures: [
      {
        text: "Story-llama writes 60, 24, 4 and 1.1 tokens a second at 0, 1, 10 and 40 ms round trip, 147 kB a token; 740 to 880 without protection.",
        command: "npm run prove -- shares/speed",
      },
      {
        text: "One bit flipped in a server's answer: 10,000 of 10,000 caught, the right server named.",
        command: "npm run prove -- shares/integrity",
      },
    ],
    guide: "docs/guides/two-servers.md",
    page: { path: "/servers", label: "Set up two servers" },
  },
];

export interface Tier {
  readonly name: string;
  readonly who: string;
  /** What is left to it under each protection, in the order of {@link protections}. */
  readonly against: readonly [string, string, string, string];
}

export const tiers: readonly Tier[] = [
  {
    name: "T0",
    who: "sees ids on the wire or in a log, and has no weights",
    against: [
      "learns; reads much traffic of a known kind",
      "learns lengths and timing",
      "learns sizes and timing",
      "learns lengths and timing",
    ],
  },
  {
    name: "T1",
    who: "is the host of a private model, and cannot identify the original",
    against: ["learns", "as T0", "learns from features", "as T0"],
  },
  {
    name: "T2",
    who: "is the host, and has the public model. Assume this for every open model",
    against: ["reads, within seconds or minutes", "as T0, while the enclave holds", "learns from features, measured", "as T0"],
  },
  {
    name: "T3",
    who: "knows or chooses some of the text besides",
    against: ["reads", "as T0, while the enclave holds", "learns from features", "as T0"],
  },
  {
    name: "T4",
    who: "is a host that lies, swaps, delays or stops",
    against: ["reads, alters", "stopped by attestation", "alters", "detected, named"],
  },
  {
    name: "T5",
    who: "is several hosts that share what they know",
    against: ["as T2", "as T0, while the enclaves hold", "not applicable", "falls back to EE"],
  },
  {
    name: "Your key",
    who: "somebody has it",
    against: ["reads, also recordings", "reads", "reads", "reads with the help of both servers"],
  },
  { name: "Your machine", who: "somebody is on it", against: ["reads", "reads", "reads", "reads"] },
];
