/**
 * What the key holder has: models, keys, and the hosts that serve.
 *
 * | request                            | body               | answer                                            |
 * | ---------------------------------- | ------------------ | ------------------------------------------------- |
 * | `GET /console/status`              |                    | {@link Status}                                    |
 * | `GET /console/library`             |                    | {@link Library}                                   |
 * | `POST /console/keys`               | {@link NewKey}     | {@link KeyRow}                                    |
 * | `POST /console/keys/NAME/export`   | {@link KeyExport}  | the age file, as a download                       |
 * | `DELETE /console/models?path=PATH` |                    | 204; of plain and encrypted models in the home    |
 * | `GET /console/hosts`               |                    | `{hosts: HostRow[]}`, each asked just now         |
 * | `POST /console/hosts`              | {@link NewHost}    | {@link HostRow}                                   |
 * | `DELETE /console/hosts?url=URL`    |                    | 204                                               |
 * | `GET /console/servers`             |                    | `{servers: TwoServers \| null}`                   |
 * | `PUT /console/servers`             | {@link NewServers} | {@link TwoServers}                                |
 * | `DELETE /console/servers`          |                    | 204; switches the mode off                        |
 * | `GET /console/worth/FINGERPRINT`   |                    | {@link Worth}                                     |
 * | `GET /console/reports/FINGERPRINT` |                    | the report that `unseen attack` kept              |
 * @module
 */
import type { Failure } from "./failure.ts";

export type Protection = "ee" | "ee+tee" | "shares";

/** What the page needs to begin. */
export interface Status {
  readonly version: string;
  readonly models: readonly OfferedRow[];
  /** What the gateway is still getting ready at its start, for a person; null when it is. */
  readonly preparing: string | null;
  readonly cpus: number;
}

/** A model that can be asked now. */
export interface OfferedRow {
  readonly id: string;
  /** Of the model alone, without what tells apart the same model under two protections. */
  readonly name: string;
  readonly fingerprint: string;
  readonly family: string;
  readonly strength: "permute" | "rotate";
  readonly task: "chat" | "classification" | "embedding" | "reranking" | "vision" | "other";
  readonly protection: Protection;
  /** The evidence is a simulator's. */
  readonly simulated: boolean;
  /** Tokens; null without limit. */
  readonly contextLength: number | null;
  readonly hosts: readonly string[];
  /** Sampling defaults, as OpenAI names them. */
  readonly defaults: {
    readonly temperature?: number;
    readonly top_p?: number;
    readonly top_k?: number;
    readonly min_p?: number;
    readonly repetition_penalty?: number;
  };
}

export interface Library {
  readonly keys: readonly KeyRow[];
  /** Models in clear: downloaded ones, and those that come along. */
  readonly plain: readonly ModelRow[];
  /** Encrypted ones that lie on this machine. */
  readonly encrypted: readonly EncryptedRow[];
  /** Models that were split for two servers in the browser. */
  readonly splits: readonly SplitRow[];
  /** Directory in which all lies, for a person. */
  readonly home: string;
}

export interface KeyRow {
  readonly id: string;
  readonly name: string;
  /** null where a passphrase hides it. */
  readonly created: string | null;
  readonly protection: "identity" | "passphrase";
  /** Names of models under it, as the keyring's bundles say. */
  readonly models: readonly string[];
}

export interface ModelRow {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly family: string | null;
  /** Comes along, and cannot be deleted. */
  readonly bundled: boolean;
}

export interface EncryptedRow {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly fingerprint: string;
  readonly family: string;
  readonly strength: "permute" | "rotate";
  readonly created: string | null;
  /** Name of the key; null where the keyring has no bundle of it. */
  readonly key: string | null;
  /** Split for two servers, and the client's part is here. */
  readonly shared: boolean;
  readonly worth: Worth;
  /** As measured when it was encrypted; null where it was not. */
  readonly fidelity: FidelityRow | null;
}

/** A model taken apart for two servers: the client's part is in the keyring, and the servers' directories lie on this machine. */
export interface SplitRow {
  readonly name: string;
  readonly fingerprint: string;
  /** Of a weight. */
  readonly bits: 8 | 16;
  /** One for each server. */
  readonly directories: readonly [string, string];
}

/** What a model's protection was measured to be worth, in the words of `unseen encrypt`. */
export interface Worth {
  readonly lines: readonly string[];
  /** Whether this very model was attacked. */
  readonly own: boolean;
}

export interface FidelityRow {
  /** 0..1, share of positions with the same likeliest token. */
  readonly greedyAgreement: number;
  /** nats. */
  readonly meanKl: number;
  readonly maxLogitDifference: number;
  readonly tokens: number;
}

export interface NewKey {
  readonly name: string;
  /** Absent: the keyring's identity file protects it. */
  readonly passphrase?: string;
}

/** A key to take elsewhere, sealed with a passphrase of its own: what the keyring's identity protects opens on this machine alone. */
export interface KeyExport {
  /** Of the exported file. */
  readonly passphrase: string;
  /** Opens the key where it asks for one. */
  readonly current?: string;
}

export interface HostRow {
  readonly url: string;
  readonly state: "up" | "loading" | "down";
  /** `unseen`, `vllm`, ... null while unknown. */
  readonly engine: string | null;
  /** Ids of offered models that it serves. */
  readonly models: readonly string[];
  /** Of the question just asked; null without an answer. */
  readonly milliseconds: number | null;
  readonly attestation: AttestationRow | null;
  readonly failure: Failure | null;
  /** Added in the browser, and can be removed there. */
  readonly added: boolean;
  /** Runs on this machine as a job. */
  readonly job: string | null;
}

/** Of a host from which evidence is demanded. */
export interface AttestationRow {
  readonly kind: string | null;
  readonly simulated: boolean;
  /** ISO 8601; null: not yet. */
  readonly verifiedAt: string | null;
  readonly measurement: string | null;
  readonly failure: Failure | null;
}

export interface NewHost {
  readonly url: string;
  readonly apiKey?: string;
  /** JSON text of an attestation policy. */
  readonly policy?: string;
  /** Name of the model, where the host does not say a fingerprint. */
  readonly model?: string;
  /** Opens the model's key where it asks for one. */
  readonly passphrase?: string;
}

export interface NewServers {
  readonly urls: readonly [string, string];
  readonly model?: string;
  readonly allowSameOperator: boolean;
  readonly passphrase?: string;
}

/** Two-server mode, switched on. */
export interface TwoServers {
  /** Id of the offered model. */
  readonly model: string;
  readonly sameOperator: boolean;
  readonly servers: readonly [ServerRow, ServerRow];
  /**
   * Products (one row by one limb of one layer) whose sum was checked against the client's secret projections since the mode was switched
   * on.
   */
  readonly checked: number;
  /** What failed the check last, and which server lied; null: nothing did. */
  readonly violation: Failure | null;
  readonly roundTrips: number;
  readonly secondsWaiting: number;
}

export interface ServerRow {
  readonly url: string;
  readonly state: "up" | "down";
  /** Bytes of frames that went to it since the mode was switched on. */
  readonly sentBytes: number;
  /** Bytes of frames that came from it. */
  readonly receivedBytes: number;
  /** What it got for the last message; null before one. */
  readonly last: ServerView | null;
}

/** What one server saw of the last message. */
export interface ServerView {
  /** Bytes of frames that it got. */
  readonly received: number;
  /** Bytes of frames that it sent. */
  readonly sent: number;
  /** Frames that it got. */
  readonly calls: number;
  /** Base64 of the first bytes that it got, at most 4096. A: masked numbers. B: the session's seed (32), then 16 bytes a call. */
  readonly sample: string;
  /** How often each byte value was received, 256 numbers; all zero where it got a seed alone. */
  readonly histogram: readonly number[];
  /** Of the histogram against equal shares, 255 degrees of freedom. */
  readonly chiSquare: number;
}
