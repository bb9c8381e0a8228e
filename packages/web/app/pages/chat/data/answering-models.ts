/**
 * The models that can be asked now. The gateway is asked for them again and again; where nothing changed, nothing is drawn again.
 * @module
 */
import { computed } from "@preact/signals";
import type { OfferedRow } from "../../../../src/protocol/library.ts";
import { chatModels } from "../../../api/status.ts";

let latest: readonly OfferedRow[] = [];

/** The same array for as long as they are the same. */
export const answeringModels = computed(() => {
  const models = chatModels.value;
  if (JSON.stringify(models) !== JSON.stringify(latest)) latest = models;
  return latest;
});
