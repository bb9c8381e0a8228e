/**
 * Checks request bodies.
 * @module
 */
import type { z } from "zod";
import { RequestError } from "./errors.ts";

/** Parses a JSON text. @throws RequestError REQUEST_INVALID. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError("REQUEST_INVALID", "", "the request body is not JSON.", { hint: "Send one JSON object." });
  }
}

/** Checks `value` and drops unknown fields. @throws RequestError REQUEST_INVALID naming the first wrong field. */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = deepest(result.error.issues);
  const param =
    issue?.path.reduce<string>(
      (path, part) => (typeof part === "number" ? `${path}[${part}]` : path ? `${path}.${String(part)}` : String(part)),
      "",
    ) ?? "";
  throw new RequestError("REQUEST_INVALID", param, `${param || "the request"}: ${issue?.message ?? "has another form than expected"}.`);
}

interface Issue {
  readonly code?: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A union's own message ("Invalid input") says nothing; the branch of the right type, or else the one that got furthest, does. */
function deepest(issues: readonly z.core.$ZodIssue[]): Issue | undefined {
  const first = issues[0];
  if (first?.code !== "invalid_union") return first;
  const branches = first.errors
    .flatMap((branch) => deepest(branch) ?? [])
    .map((issue) => ({ ...issue, path: [...first.path, ...issue.path] }));
  const isOfType = (issue: Issue): number => Number(issue.code !== "invalid_type");
  return branches.toSorted((one, other) => isOfType(other) - isOfType(one) || other.path.length - one.path.length)[0] ?? first;
}
