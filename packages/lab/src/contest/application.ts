/**
 * A contest's web server: shows the package and the leaderboard, takes submissions. What it serves is public, so anyone may ask;
 * who submits shows a token. The solution is never part of an answer: a submission's answer is its score and rank alone.
 * @module
 */
import type { HttpBindings } from "@hono/node-server";
import { presentedKey } from "@unseen/client/gateway/guard.ts";
import { describeError, RequestError } from "@unseen/client/openai/errors.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { routePath } from "hono/route";
import { closingTime, type Contest } from "./contest.ts";
import { contestPage, PAGE_POLICY } from "./page.ts";
import { RateLimit } from "./rate-limit.ts";
import { scoreTokens } from "./scoring.ts";
import type { Solution } from "./solution.ts";
import type { ContestStore } from "./store.ts";
import { MAXIMUM_SUBMISSION_BYTES, parseSubmission } from "./submission.ts";

/** Submissions that an address may try a minute, right or wrong (CWE-799). */
const ATTEMPTS_PER_MINUTE = 20;
/** Lines of the leaderboard that are shown. */
const SHOWN_STANDINGS = 1000;

export interface ContestOptions {
  readonly contest: Contest;
  /** Of this contest, see `verifySolution`. */
  readonly solution: Solution;
  readonly store: ContestStore;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Gets a line for each request, without names, tokens or content. */
  readonly log?: ((line: string) => void) | undefined;
}

interface Environment {
  readonly Bindings: Partial<HttpBindings>;
  readonly Variables: { participant: string };
}

/** The server's routes. */
export function createContestApplication({ contest, solution, store, now = Date.now, log = () => {} }: ContestOptions): Hono<Environment> {
  const attempts = new RateLimit(ATTEMPTS_PER_MINUTE, 60_000);
  const standings = () => store.leaderboard(contest.id, SHOWN_STANDINGS);
  const application = new Hono<Environment>();

  application.onError((error, context) => {
    const { status, message } = answerOf(error);
    if (status === 429) context.header("retry-after", "60");
    if (status === 401) context.header("www-authenticate", "Bearer");
    if (status === 500) log(`failure ${UnseenError.isInstance(error) ? error.code : error.name}`);
    return context.json(message, status as 500);
  });
  application.notFound((context) =>
    context.json(answerOf(new RequestError("REQUEST_UNSUPPORTED", "path", "there is no such page.")).message, 404),
  );

  application.use("*", async (context, next) => {
    const start = performance.now();
    context.header("x-content-type-options", "nosniff");
    context.header("cache-control", "no-store");
    await next();
    log(`${context.req.method} ${routePath(context, -1)} ${context.res.status} ${Math.round(performance.now() - start)} ms`);
  });

  application.get("/", (context) => {
    context.header("content-security-policy", PAGE_POLICY);
    return context.html(contestPage(contest, standings()));
  });
  application.get("/contest.json", (context) => context.json(contest));
  for (const path of ["/leaderboard", "/leaderboard.json"])
    application.get(path, (context) => context.json({ contest: contest.id, date: contest.date, standings: standings() }));

  application.post(
    "/submissions",
    async (context, next) => {
      if (!attempts.allow(context.env.incoming?.socket.remoteAddress ?? "", now()))
        throw new UnseenError("OVERLOADED", `expected at most ${ATTEMPTS_PER_MINUTE} submissions a minute from one address, got more.`, {
          hint: "Try again in a minute.",
        });
      const participant = store.participantOf(presentedKey(context.req.raw));
      if (participant === null)
        throw new UnseenError("UNAUTHORIZED", "the participant's token is missing or wrong.", {
          hint: "Send the token that the organiser gave you as `Authorization: Bearer TOKEN`.",
        });
      context.set("participant", participant);
      await next();
    },
    bodyLimit({
      maxSize: MAXIMUM_SUBMISSION_BYTES,
      onError: () => {
        throw new UnseenError("REQUEST_TOO_LARGE", `submission: expected at most ${MAXIMUM_SUBMISSION_BYTES} bytes.`);
      },
    }),
    async (context) => {
      const participant = context.get("participant");
      const submission = parseSubmission(new Uint8Array(await context.req.arrayBuffer()));
      if (submission.participant !== null && submission.participant !== participant)
        throw new RequestError(
          "REQUEST_INVALID",
          "participant",
          "participant: expected the name that the token was given to, got another.",
        );
      const { score } = scoreTokens(submission.tokens, solution);
      const submitted = now();
      if (submitted >= closingTime(contest))
        throw new UnseenError("REQUEST_UNSUPPORTED", `submissions to contest ${contest.id} closed when ${contest.date} ended, in UTC.`);
      const { standing, isNew } = store.submit({ contest: contest.id, participant, tokens: submission.tokens, score, submitted });
      return context.json({ score: standing.score, rank: standing.rank }, isNew ? 201 : 200);
    },
  );
  return application;
}

/** Status and body for anything that was thrown. What happened on the server's side is not the participants' business. */
function answerOf(error: unknown): { status: number; message: object } {
  const known = UnseenError.isInstance(error) ? error : new UnseenError("INTERNAL", "");
  const { status, body } = describeError(known);
  if (known.code === "REQUEST_TOO_LARGE") return { status: 413, message: body };
  // The request is in order, and what it asks for has been done or is over.
  if (known.code === "REQUEST_UNSUPPORTED") return { status: 409, message: body };
  if (status < 500) return { status, message: body };
  return { status: 500, message: describeError(new UnseenError("INTERNAL", "the server failed; nothing was counted.")).body };
}
