/**
 * Jobs for users, work for enclaves and creators, and calls between them.
 * @module
 */
import type { Hono } from "hono";
import { z } from "zod";
import {
  callAnswerSchema,
  callSchema,
  doneSchema,
  failSchema,
  featuresSchema,
  jobRequestSchema,
  leaseSchema,
  limits,
  states,
  workRequestSchema,
} from "../protocol.ts";
import type { Callee } from "./calls.ts";
import type { Hub } from "./hub.ts";
import { workTopic } from "./job-rows.ts";
import { Refusal } from "./refusal.ts";
import { check, readJson, requireAccount, type Environment } from "./request.ts";

const waitSchema = z.strictObject({
  after: z.enum(states).optional(),
  wait: z.coerce.number().min(0).max(limits.waitSeconds).default(0),
});

/** Adds the routes of jobs, work, enclaves and calls. */
export function addJobRoutes(application: Hono<Environment>, hub: Hub): void {
  const { jobs, work, calls, enclaves, bells, catalogue } = hub;
  const waiting = new WaitCounter(hub.settings.waitsPerAccount);

  application.post("/v1/jobs", async (context) => {
    const { job, isNew } = await jobs.create(requireAccount(context, "user"), await readJson(context, jobRequestSchema));
    return context.json(job, isNew ? 201 : 200);
  });
  application.get("/v1/jobs/:id", async (context) => {
    const account = requireAccount(context);
    const { after = null, wait } = check(waitSchema, context.req.query(), "query");
    return waiting.during(account.name, async () =>
      context.json(await jobs.awaitChange(account, context.req.param("id"), after, wait, context.req.raw.signal)),
    );
  });
  application.post("/v1/jobs/:id/submit", async (context) =>
    context.json(await jobs.submit(requireAccount(context, "user"), context.req.param("id"))),
  );
  application.post("/v1/jobs/:id/features", async (context) => {
    const user = requireAccount(context, "user");
    const { features } = await readJson(context, featuresSchema);
    return context.json(await jobs.sendFeatures(user, context.req.param("id"), features));
  });
  application.post("/v1/jobs/:id/cancel", async (context) =>
    context.json(await jobs.cancel(requireAccount(context, "user"), context.req.param("id"))),
  );

  application.post("/v1/tasks", async (context) => {
    const worker = requireAccount(context, "enclave", "creator");
    const { keys, attestation, callsOnly, wait } = await readJson(context, workRequestSchema);
    if (worker.role === "creator" && keys.length > 0) throw new Refusal("REQUEST_INVALID", "keys: expected none from a creator.");
    await enclaves.see(worker.name, keys, attestation);
    return waiting.during(worker.name, async () => {
      const given = await bells.until(
        [workTopic(worker.role, worker.name)],
        wait,
        context.req.raw.signal,
        async () => calls.take(worker, keys) ?? (callsOnly ? null : await work.claim(worker, keys)),
      );
      return given === null ? context.body(null, 204) : context.json(given);
    });
  });
  application.post("/v1/tasks/:job/renew", async (context) => {
    const worker = requireAccount(context, "enclave", "creator");
    const { lease } = await readJson(context, leaseSchema);
    return context.json({ leaseSeconds: await work.renew(worker, context.req.param("job"), lease) });
  });
  application.post("/v1/tasks/:job/done", async (context) => {
    const worker = requireAccount(context, "enclave", "creator");
    const { lease, blob } = await readJson(context, doneSchema);
    return context.json(await work.finish(worker, context.req.param("job"), lease, blob));
  });
  application.post("/v1/tasks/:job/fail", async (context) => {
    const worker = requireAccount(context, "enclave", "creator");
    const { lease, ...failure } = await readJson(context, failSchema);
    return context.json(await work.fail(worker, context.req.param("job"), lease, failure));
  });

  application.get("/v1/enclaves", async (context) => {
    requireAccount(context);
    return context.json({ enclaves: await enclaves.list() });
  });
  application.post("/v1/calls", async (context) => {
    const { name: from } = requireAccount(context);
    const { to, method, body } = await readJson(context, callSchema);
    const callee: Callee = to.kind === "enclave" ? to : { kind: "creator", name: (await catalogue.version(to.version)).creator };
    const answer = await calls.ask({ from, to: callee, method, body }, context.req.raw.signal);
    // The worker's refusal, in its own words; a status after which nobody asks again.
    if (answer.error) return context.json({ error: { ...answer.error, hint: null } }, 422);
    return context.json({ body: answer.body });
  });
  application.post("/v1/calls/:id/answer", async (context) => {
    const worker = requireAccount(context, "enclave", "creator");
    calls.answer(worker, context.req.param("id"), await readJson(context, callAnswerSchema));
    return context.body(null, 204);
  });
}

/** Requests of one account that wait at once (CWE-770). */
class WaitCounter {
  readonly #maximum: number;
  readonly #counts = new Map<string, number>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** @throws UnseenError QUOTA_EXCEEDED */
  async during<Result>(account: string, body: () => Promise<Result>): Promise<Result> {
    const count = (this.#counts.get(account) ?? 0) + 1;
    if (count > this.#maximum)
      throw new Refusal("QUOTA_EXCEEDED", `waiting requests: expected at most ${this.#maximum} of one account at once.`, {
        hint: "Wait for one to be answered.",
      });
    this.#counts.set(account, count);
    try {
      return await body();
    } finally {
      const left = this.#counts.get(account)! - 1;
      if (left === 0) this.#counts.delete(account);
      else this.#counts.set(account, left);
    }
  }
}
