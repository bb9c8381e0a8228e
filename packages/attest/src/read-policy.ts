/**
 * Policies as files.
 * @module
 */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { type Policy, policySchema } from "./policy.ts";

/** CWE-770. */
const POLICY_BYTES = 1024 * 1024;

/** Reads a policy (JSON). @throws UnseenError USAGE, which names the field; PERMISSION_DENIED */
export async function readPolicy(path: string): Promise<Policy> {
  return parsePolicy(await readLimited(path), basename(path));
}

/** Parses a policy's text. @param what names it in messages. @throws UnseenError USAGE */
export function parsePolicy(text: string, what: string): Policy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw usage(`${what}: expected a policy (JSON), got something else.`, cause);
  }
  const result = policySchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw usage(
      `${what}: ${issue?.path.join(".") || "policy"}: ${(issue?.message ?? "unknown form").slice(0, 200).replaceAll(/\s+/g, " ")}.`,
    );
  }
  const policy = result.data;
  if ((policy.mode === "simulator") !== (policy.simulatorRoot !== undefined))
    throw usage(`${what}: simulatorRoot: expected it in simulator mode alone, got mode "${policy.mode}".`);
  return policy;
}

async function readLimited(path: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const buffer = Buffer.alloc(POLICY_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length <= POLICY_BYTES) return buffer.toString("utf8", 0, length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw usage(`${path}: expected a policy, got no such file.`, error);
    throw explainSystemError(error, path);
  }
  throw usage(`${path}: expected a policy of at most ${POLICY_BYTES} bytes, got more.`);
}

function usage(message: string, cause?: unknown): UnseenError {
  return new UnseenError("USAGE", message, { hint: "Correct this field of the policy; the others were not looked at.", cause });
}
