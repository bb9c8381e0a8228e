/**
 * A served model as the server sees it, whatever engine runs it.
 * @module
 */
import type { Manifest } from "@unseen/core/blueprint/manifest.ts";
import type { ApplicationOptions } from "./application.ts";
import type { AdmittedModel } from "./admit.ts";
import type { HostOptions } from "./serve.ts";

/** An engine that loads its model, and the routes that use it. */
export type Service = Pick<ApplicationOptions, "engine" | "engineName" | "maximumLength" | "facts" | "routes" | "refused" | "metrics"> & {
  readonly manifest: Manifest | null;
  /** Ids lie below; 0 for models without token ids. */
  readonly vocabularySize: number;
  /** Settings, for the log's first line: "threads=1". */
  readonly settings: string;
};

/** What a service needs to know of its server. */
export interface ServiceOptions extends HostOptions {
  /** Name under which the model is served. */
  readonly name: string;
  readonly log: (line: string) => void;
}

/**
 * Looks at the model's files and returns what starts its engine. Two steps, because a port must be open before a model is loaded and
 * a useless file must be refused before a port is opened.
 */
export type PrepareService = (model: AdmittedModel, options: ServiceOptions) => Promise<() => Service>;
