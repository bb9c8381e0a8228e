/**
 * A contest from both sides: an organiser at the command line, participants over HTTP, and a server that is killed.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { ask, onlyObject, runCommand, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "./command-line.ts";

const home = temporaryDirectory("contest");
const at = (...parts: string[]): string => join(home, ...parts);
const DAY = "2099-12-31";

interface Solution {
  readonly hints: readonly number[];
  readonly tokens: Readonly<Record<string, readonly string[]>>;
}
interface Standing {
  readonly rank: number;
  readonly participant: string;
  readonly score: number;
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, "utf8")) as T;
const solutionOf = (directory: string): Solution => readJson<Solution>(at(directory, "private", "solution.json"));

/** What someone would submit who knows the first so many tokens and guesses the next so many. */
function submission({ tokens, hints }: Solution, known: number, guessed = 0): { tokens: Record<string, string> } {
  const open = Object.entries(tokens).filter(([id]) => !hints.includes(Number(id)));
  const right = open.slice(0, known).map(([id, texts]) => [id, texts.at(-1)]);
  const wrong = open.slice(known, known + guessed).map(([id]) => [id, "no such token"]);
  return { tokens: Object.fromEntries([...right, ...wrong]) as Record<string, string> };
}

async function invite(name: string, directory: string): Promise<string> {
  return (await ask<{ token: string }>(["contest", "invite", name, "--dir", directory], { home })).token;
}

async function submit(url: string, token: string, body: string): Promise<{ status: number; score: number; rank: number }> {
  const response = await fetch(`${url}/submissions`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body });
  return { status: response.status, ...((await response.json()) as { score: number; rank: number }) };
}

async function standings(server: RunningServer): Promise<Standing[]> {
  return ((await (await fetch(`${server.url}/leaderboard.json`)).json()) as { standings: Standing[] }).standings;
}

describe("a practice contest", () => {
  let made: { id: string; contest: string; solution: string; distinctTokens: number; hints: number };
  before(async () => {
    made = await ask(["contest", "new", "--practice", "--hints", "3", "--date", DAY], { home });
  });

  test("has a half to publish and a half to keep", async () => {
    assert.equal(made.contest, join("contest", "public", "contest.json"));
    assert.equal(statSync(at(made.solution)).mode & 0o777, 0o600);
    assert.equal(statSync(at("contest", "private")).mode & 0o077, 0);
    const contest = readJson<Record<string, unknown>>(at(made.contest));
    assert.deepEqual([contest["date"], contest["practice"], Object.keys(contest["hints"] as object).length], [DAY, true, 3]);
    // What was published is never replaced.
    const again = await runCommand(["contest", "new", "--practice", "--date", DAY, "--json"], { home });
    assert.equal(again.code, 1);
    assert.equal(onlyObject<{ error: { code: string } }>(again.stdout).error.code, "OUTPUT_EXISTS");
    assert.deepEqual(readJson(at(made.contest)), contest);
  });

  test("scores a submission, and finds out about a solution that was changed", async () => {
    const solution = solutionOf("contest");
    writeFileSync(at("mine.json"), JSON.stringify(submission(solution, 40, 7)));
    const parameters = ["contest", "score", "mine.json", "--solution", made.solution, "--contest", made.contest];
    const { distinctTokens } = made;
    assert.deepEqual(await ask(parameters, { home }), {
      contest: made.id,
      score: 393,
      right: 40,
      wrong: 7,
      void: 0,
      unanswered: distinctTokens - 3 - 47,
      verified: true,
    });
    const [id] = Object.keys(solution.tokens).filter((key) => !solution.hints.includes(Number(key))) as [string];
    const forged = readJson<{ tokens: Record<string, string[]> }>(at(made.solution));
    forged.tokens[id] = ["something else"];
    writeFileSync(at("forged.json"), JSON.stringify(forged));
    const refused = await runCommand(parameters.with(4, "forged.json"), { home });
    assert.deepEqual([refused.code, refused.stdout], [1, ""]);
    assert.match(refused.stderr, /^unseen: the solution is not the one .* published with \(commitment\)\. .*\n$/);
    assert.ok(!refused.stderr.includes("something else"));
    // Nor is it served.
    const served = await runCommand(["contest", "serve", "--solution", "forged.json", "--port", "0"], { home });
    assert.deepEqual([served.code, served.stdout], [1, ""]);
    assert.ok(!existsSync(at("contest", "private", "contest.sqlite")));
  });

  test("is served: participants submit once, the leaderboard ranks them, Ctrl-C ends it", async () => {
    const solution = solutionOf("contest");
    const ada = await invite("Ada", "contest");
    const server = await startServer(["contest", "serve", "--port", "0"], { home });
    // While it runs.
    const bob = await invite("Bob", "contest");
    const twice = await runCommand(["contest", "invite", "Bob"], { home });
    assert.deepEqual([twice.code, twice.stdout], [1, ""]);
    assert.equal((await submit(server.url, ada, JSON.stringify(submission(solution, 5, 1)))).score, 49);
    assert.deepEqual(await submit(server.url, bob, JSON.stringify(submission(solution, 9, 0))), { status: 201, score: 90, rank: 1 });
    assert.equal((await submit(server.url, bob, JSON.stringify(submission(solution, 20)))).status, 409);
    assert.equal((await submit(server.url, "guess", "{}")).status, 401);
    assert.deepEqual(
      (await standings(server)).map(({ rank, participant, score }) => [rank, participant, score]),
      [
        [1, "Bob", 90],
        [2, "Ada", 49],
      ],
    );
    assert.deepEqual(await (await fetch(`${server.url}/contest.json`)).json(), readJson(at(made.contest)));
    assert.match(await (await fetch(server.url)).text(), /<td>Bob<\/td>/);
    server.child.kill("SIGINT");
    const { code, signal, stderr } = await server.ended;
    assert.deepEqual([code, signal], [0, null]);
    for (const secret of ["Ada", "Bob", ada, bob, "guess"]) assert.ok(!stderr.includes(secret));
    assert.doesNotMatch(stderr, /warning/i);
    assert.deepEqual(server.stdout().trim().split("\n").length, 1);
  });
});

test("a server that is killed loses no submission that it has accepted", async () => {
  const made = await ask<{ id: string }>(["contest", "new", "--practice", "--date", DAY, "--out", "killed"], { home });
  const solution = solutionOf("killed");
  const tokens = await Promise.all(["a", "b", "c", "d"].map((name) => invite(name, "killed")));
  const bodies = tokens.map((_, index) => JSON.stringify(submission(solution, 10 + index)));
  const accepted = new Map<string, number>();
  for (const round of [0, 1]) {
    const server = await startServer(["contest", "serve", "--dir", "killed", "--port", "0"], { home });
    assert.equal(server.facts["contest"], made.id);
    // What was accepted before is there, and sending it again changes nothing.
    assert.deepEqual(new Set((await standings(server)).map(({ score }) => score)).isSupersetOf(new Set(accepted.values())), true);
    for (const [body, score] of accepted) {
      const token = tokens[bodies.indexOf(body)] as string;
      const { status, score: kept } = await submit(server.url, token, body);
      assert.deepEqual([status, kept], [200, score]);
    }
    // The moment the first of several answers arrives, with the others on their way.
    await Promise.allSettled(
      [0, 1].map(async (each) => {
        const body = bodies[2 * round + each] as string;
        const { status, score } = await submit(server.url, tokens[2 * round + each] as string, body);
        assert.equal(status, 201);
        accepted.set(body, score);
        server.child.kill("SIGKILL");
      }),
    );
    assert.equal((await server.ended).signal, "SIGKILL");
    assert.ok(accepted.size > round, "at least one was answered in each round");
  }
  const server = await startServer(["contest", "serve", "--dir", "killed", "--port", "0"], { home });
  const scores = new Set((await standings(server)).map(({ score }) => score));
  for (const score of accepted.values()) assert.ok(scores.has(score), `${score} is lost`);
  // Whoever got no answer sends the same again.
  for (const [index, body] of bodies.entries()) assert.ok((await submit(server.url, tokens[index] as string, body)).status < 300);
  assert.deepEqual((await standings(server)).map(({ participant }) => participant), ["d", "c", "b", "a"]); // prettier-ignore
  await server.stop();
});

test("a contest from an encrypted model is solved with its key, and says nothing without", async () => {
  await ask(["encrypt", STORY_LLAMA, "--out", "encrypted", "--strength", "permute", "--name", "story", "--no-measure"], { home });
  writeFileSync(at("text.txt"), "Once upon a time\r\nthere was a purple walrus.\nThe walrus sang.\n");
  const outcome = await runCommand(
    ["contest", "new", "--model", "story", "--text", "text.txt", "--date", DAY, "--out", "real", "--json"],
    { home }, // prettier-ignore
  );
  assert.equal(outcome.code, 0);
  assert.match(outcome.stderr, /known pairs of this key/);
  const contest = readJson<{ prompt: number[]; response: number[]; model: object }>(at("real", "public", "contest.json"));
  const { fingerprint } = readJson<{ fingerprint: string }>(at("encrypted", "unseen.json"));
  assert.deepEqual(contest.model, { fingerprint, family: "llama", vocabularySize: 4096 });
  const read = async (ids: number[]): Promise<string> =>
    (await ask<{ text: string }>(["decode", ids.join(","), "--model", "story"], { home })).text;
  assert.equal(await read(contest.prompt), "<|bos|>Once upon a time");
  assert.equal(await read(contest.response), "there was a purple walrus.\nThe walrus sang.");
  assert.doesNotMatch(readFileSync(at("real", "public", "contest.json"), "utf8"), /walrus|purple|upon/);
});

test("what contradicts itself is refused before anything is written", async () => {
  for (const parameters of [
    [],
    ["--practice", "--model", "story"],
    ["--practice", "--text", "text.txt", "--prompt", "x"],
    ["--practice", "--prompt", ""],
    ["--practice", "--hints", "119"],
  ]) {
    const outcome = await runCommand(["contest", "new", ...parameters, "--out", "refused", "--json"], { home });
    assert.equal(onlyObject<{ error: { code: string } }>(outcome.stdout).error.code, "USAGE", parameters.join(" "));
    assert.equal(outcome.code, 1);
  }
  assert.notEqual((await runCommand(["contest", "new", "--practice", "--date", "2099-02-30", "--out", "refused"], { home })).code, 0);
  assert.ok(!existsSync(at("refused")));
});
