/**
 * Routes of the lab; see the web package's `protocol/lab.ts`.
 * @module
 */
import { readFile } from "node:fs/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import { parseReport } from "@unseen/lab/report/parse.ts";
import { verdictOf } from "@unseen/lab/report/verdict.ts";
import type { AttackRow, LabList, VerdictRow } from "@unseen/web/protocol/lab.ts";
import { Hono } from "hono";
import { reportFile } from "../worth.ts";
import type { Console, ConsolePart } from "./console.ts";

const FINGERPRINT = /^[0-9a-f]{32}$/;

export function openLab({ home }: Console): ConsolePart {
  const routes = new Hono();
  routes.get("/console/attacks", async (context) => {
    // Loaded here, because a gateway that nobody attacks does without them.
    const { allAttacks } = await import("@unseen/lab/attacks/index.ts");
    const { allDefences } = await import("@unseen/lab/defences/index.ts");
    const attacks = allAttacks.map(({ name, title, tier, knowledge, source }): AttackRow => ({ name, title, tier, knowledge, source }));
    return context.json({ attacks, defences: allDefences } satisfies LabList);
  });
  routes.get("/console/verdicts/:fingerprint", async (context) => {
    const fingerprint = context.req.param("fingerprint");
    // It becomes part of a path (CWE-22).
    const text = FINGERPRINT.test(fingerprint) ? await readFile(reportFile(home, fingerprint), "utf8").catch(() => null) : null;
    if (text === null)
      throw new UnseenError("MODEL_NOT_FOUND", "this model was not attacked on this machine.", { hint: "Run an attack on it first." });
    const { sentence, limits } = verdictOf(parseReport(text));
    return context.json({ sentence, limits } satisfies VerdictRow);
  });
  return { routes };
}
