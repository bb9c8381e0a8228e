/**
 * Routes of the jobs; see the web package's `protocol/jobs.ts`.
 * @module
 */
import { readBody } from "@unseen/client/gateway/read-body.ts";
import { asEvents } from "@unseen/client/gateway/events.ts";
import { eventResponse } from "@unseen/client/openai/event-response.ts";
import { parseRequest } from "@unseen/client/openai/parse.ts";
import { Hono } from "hono";
import type { Console, ConsolePart } from "./console.ts";
import { JobBoard } from "./jobs/job-board.ts";
import { newJobSchema } from "./jobs/new-job.ts";
import { planJob } from "./jobs/plan-job.ts";

const HEARTBEAT_MILLISECONDS = 15_000;

export function openJobs({ home }: Console): ConsolePart {
  const board = new JobBoard(home.root);
  const routes = new Hono();
  routes.get("/console/jobs", (context) => context.json({ jobs: board.list() }));
  routes.post("/console/jobs", async (context) => {
    const asked = parseRequest(newJobSchema, await readBody(context));
    return context.json(await board.start(asked.kind, (taken) => planJob(asked, home, taken)));
  });
  routes.get("/console/jobs/:id", (context) => context.json(board.find(context.req.param("id")).snapshot()));
  routes.get("/console/jobs/:id/stream", (context) => {
    const abort = new AbortController();
    const events = asEvents(board.find(context.req.param("id")).follow(abort.signal));
    return eventResponse(events, { abort, done: false, heartbeat: HEARTBEAT_MILLISECONDS, onEnd: () => {} });
  });
  routes.delete("/console/jobs/:id", async (context) => context.json(await board.remove(context.req.param("id"))));
  return { routes, close: () => board.close() };
}
