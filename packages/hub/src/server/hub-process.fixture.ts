/**
 * A hub in a process of its own, which tests end without warning: `hub-process.fixture.ts DIRECTORY`.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { startTestHub } from "./hub.fixture.ts";

try {
  const { url, adminKeyFile } = await startTestHub(process.argv[2] as string);
  process.send?.({ url, adminKeyFile });
} catch (error) {
  process.send?.({ error: UnseenError.isInstance(error) ? { code: error.code, message: error.message } : String(error) });
  process.disconnect?.();
}
