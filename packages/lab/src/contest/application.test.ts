/** What the contest's server answers, and what it never does. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { byteLevelTokenizer } from "@unseen/client/example-tokenizers.ts";
import { createContestApplication } from "./application.ts";
import { closingTime } from "./contest.ts";
import { makeContest } from "./make-contest.ts";
import { contestPage } from "./page.ts";
import { ContestStore } from "./store.ts";
import { MAXIMUM_SUBMISSION_BYTES } from "./submission.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-contest-"));
const tokenizer = byteLevelTokenizer();
const SCRIPT = "</style><script>alert(1)</script>";
const { contest, solution } = makeContest({
  date: "2026-11-22",
  practice: false,
  model: { fingerprint: "0".repeat(32), family: SCRIPT, vocabularySize: tokenizer.size },
  tokenizer,
  permutation: Uint32Array.from({ length: tokenizer.size }, (_, id) => tokenizer.size - 1 - id),
  prompt: "the <cat>",
  response: " a hat and the mat",
  hints: 1,
});
const truth = Object.fromEntries([...solution.tokens].map(([id, texts]) => [id, texts[0] as string]));
const everything = JSON.stringify({ tokens: truth });
const points = (solution.tokens.size - 1) * 10;

const stores: ContestStore[] = [];
after(() => {
  for (const store of stores) store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A server with a clock of its own. */
function start() {
  const store = new ContestStore(join(directory, `${stores.length}.sqlite`));
  stores.push(store);
  const clock = { now: Date.parse("2026-11-22T10:00:00Z") };
  const lines: string[] = [];
  const application = createContestApplication({ contest, solution, store, now: () => clock.now, log: (line) => lines.push(line) });
  const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } }) as never;
  return {
    store,
    clock,
    lines,
    get: (path: string) => application.request(path, {}, from("127.0.0.1")),
    submit: (token: string, body: string | ReadableStream, address = "127.0.0.1", headers: Record<string, string> = {}) =>
      application.request(
        "/submissions",
        { method: "POST", headers: { authorization: `Bearer ${token}`, ...headers }, body, duplex: "half" } as RequestInit,
        from(address),
      ),
  };
}
const errorOf = async (response: Response) => ((await response.json()) as { error: { message: string; param: string | null } }).error;

test("a submission is answered with its score and rank and nothing more", async () => {
  const { store, clock, submit, get } = start();
  const [ada, bob] = [store.invite("Ada", false), store.invite("Bob", false)];
  const half = JSON.stringify({ participant: "Ada", tokens: Object.fromEntries(Object.entries(truth).slice(0, 3)) });
  const first = await submit(ada, half);
  assert.equal(first.status, 201);
  const answer = (await first.json()) as { score: number; rank: number };
  assert.deepEqual(Object.keys(answer), ["score", "rank"]);
  assert.equal(answer.rank, 1);
  clock.now += 1000;
  const second = await submit(bob, everything);
  assert.deepEqual([second.status, await second.json()], [201, { score: points, rank: 1 }]);
  for (const path of ["/leaderboard", "/leaderboard.json"]) {
    const board = (await (await get(path)).json()) as { standings: { participant: string; rank: number; submitted: string }[] };
    assert.deepEqual(board.standings.map(({ participant }) => participant), ["Bob", "Ada"]); // prettier-ignore
    assert.equal(board.standings[0]?.submitted, "2026-11-22T10:00:01.000Z");
  }
  // An answer may get lost on the way: asking again is no second submission.
  const repeated = await submit(ada, half);
  assert.deepEqual([repeated.status, await repeated.json()], [200, { score: answer.score, rank: 2 }]);
  assert.equal((await submit(ada, everything)).status, 409);
});

test("without a token, with a wrong one, or under another's name nothing is counted", async () => {
  const { store, submit, get } = start();
  const ada = store.invite("Ada", false);
  store.invite("Bob", false);
  assert.equal((await submit("", everything)).status, 401);
  const wrong = await submit(ada.slice(1), everything);
  assert.deepEqual([wrong.status, wrong.headers.get("www-authenticate")], [401, "Bearer"]);
  const other = await submit(ada, JSON.stringify({ participant: "Bob", tokens: truth }));
  assert.deepEqual([other.status, (await errorOf(other)).param], [400, "participant"]);
  for (const body of ["", "{oops", '{"tokens":{"1":"a","1":"b"}}', '{"tokens":{"__proto__":"x"}}', '{"tokens":{"9999":"x"}}'])
    assert.equal((await submit(ada, body)).status, 400, body);
  assert.deepEqual(((await (await get("/leaderboard")).json()) as { standings: unknown[] }).standings, []);
  assert.equal((await submit(ada, everything)).status, 201);
});

test("the last moment of the day counts, the next one does not", async () => {
  const { store, clock, submit } = start();
  const [ada, bob] = [store.invite("Ada", false), store.invite("Bob", false)];
  clock.now = closingTime(contest) - 1;
  assert.equal(new Date(clock.now).toISOString(), "2026-11-22T23:59:59.999Z");
  assert.equal((await submit(ada, everything)).status, 201);
  clock.now += 1;
  const late = await submit(bob, everything);
  assert.equal(late.status, 409);
  assert.match((await errorOf(late)).message, /closed/);
});

test("an address may try so often a minute, right or wrong", async () => {
  const { store, clock, submit } = start();
  const ada = store.invite("Ada", false);
  for (let index = 0; index < 20; index += 1) assert.equal((await submit("guess", everything)).status, 401);
  const refused = await submit(ada, everything);
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "60"]);
  assert.equal((await submit("guess", everything, "127.0.0.2")).status, 401);
  clock.now += 60_000;
  assert.equal((await submit(ada, everything)).status, 201);
});

test("bodies without end are refused, whether they say how long they are or not", async () => {
  const { store, submit } = start();
  const ada = store.invite("Ada", false);
  const long = "x".repeat(MAXIMUM_SUBMISSION_BYTES + 1);
  assert.equal((await submit(ada, long, undefined, { "content-length": String(long.length) })).status, 413);
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 1;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  assert.equal((await submit(ada, endless)).status, 413);
  assert.ok(sent < 64, `${sent} parts were read`);
});

test("the page escapes what it shows, runs no script, and loads nothing", async () => {
  const { store, submit, get } = start();
  await submit(store.invite("Ada", false), everything);
  const page = await get("/");
  const text = await page.text();
  assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
  assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'sha256-/);
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  assert.ok(!text.includes("<script") && text.includes("&lt;script&gt;"));
  assert.doesNotMatch(text, /\b(?:src|href)="(?!\/)/);
  for (const words of [contest.id, contest.commitment, String(points)]) assert.ok(text.includes(words), words);
  for (const id of [...contest.prompt, ...contest.response]) assert.match(text, new RegExp(`\\b${id}\\b`));
  // Names are checked when they are given; the page does not rely on it, nor on who wrote the hints.
  const [hint] = solution.hints;
  const hostile = { ...contest, hints: { [hint as number]: `"${SCRIPT}` } };
  const shown = String(await contestPage(hostile, [{ rank: 1, participant: SCRIPT, score: 0, submitted: new Date(0).toISOString() }]));
  assert.ok(!shown.includes("<script"));
  assert.ok(shown.split("&lt;script&gt;").length - 1 >= 4, "the family, the participant, and the hint at its place and in its table");
});

test("whatever is asked for, the solution is not in the answer, and the log has neither names nor tokens", async () => {
  const { store, submit, get, lines } = start();
  const token = store.invite("Quentin", false);
  const answers = [
    await submit(token, everything),
    await submit(token, '{"tokens":{}}'),
    await submit(token, '{"tokens":{"9999":"x"}}'),
    await submit("wrong", everything),
  ];
  for (const path of [
    "/",
    "/contest.json",
    "/leaderboard.json",
    "/solution.json",
    "/private/solution.json",
    "/contest.sqlite",
    "/submissions",
    "/..%2fprivate%2fsolution.json",
  ])
    answers.push(await get(path));
  assert.deepEqual(answers.map(({ status }) => status), [201, 409, 400, 401, 200, 200, 200, 404, 404, 404, 404, 404]); // prettier-ignore
  const hidden = [...solution.tokens].filter(([id]) => !solution.hints.has(id)).map(([id, [text]]) => [id, JSON.stringify(text)] as const);
  for (const answer of answers) {
    const text = await answer.text();
    assert.ok(!text.includes(solution.salt));
    for (const [id, word] of hidden) assert.ok(!text.includes(`"${id}":${word}`), `${answer.url}: ${id}`);
    assert.ok(!text.includes(token));
  }
  assert.equal(lines.length, answers.length);
  for (const line of lines) assert.match(line, /^(?:GET|POST) \/[a-z.*]* \d{3} \d+ ms$/);
});

test("a failure of the server says nothing of it, and counts nothing", async () => {
  const { store, submit, lines } = start();
  const ada = store.invite("Ada", false);
  store.close();
  const failed = await submit(ada, everything);
  assert.equal(failed.status, 500);
  assert.equal((await errorOf(failed)).message, "the server failed; nothing was counted.");
  assert.match(lines[0] ?? "", /^failure \w+$/);
  stores.splice(stores.indexOf(store), 1);
});
