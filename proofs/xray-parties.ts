/**
 * Four processes: one picture end to end, what the others could have seen, and parties that are killed.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import { UnseenError } from "@unseen/core/errors.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { awaitJob } from "@unseen/hub/api/jobs.ts";
import { saveViews } from "@unseen/hub/user/views.ts";
import sharp from "sharp";
import { ask, startCommand, temporaryDirectory } from "../tests/command-line.ts";
import { startParties, type Parties, type PartyName } from "../tests/parties.ts";
import { findInFiles, findInMemory, needlesOf } from "../tests/picture-search.ts";
import { mayReadMemory } from "../tests/process-memory.ts";
import type { Finding } from "./proof.ts";
import { runWholeModel } from "./xray-runtime.ts";
import { openXray, XRAY_MODEL } from "./xray-subjects.ts";

type Note = (line: string) => void;

const SIDE = 28;
const SHAPE = { channels: 1, height: SIDE, width: SIDE };
/** Seconds that one evaluation may take, and the whole way must keep well below. */
const BUDGET = 60;
/** Pictures of what each party saw. */
export const ARTEFACTS = fileURLToPath(new URL("../artifacts/xray/", import.meta.url));

interface LocalRun {
  label: string;
  plainLabel: string;
  maxError: number;
  stages: { name: string; seconds: number; bytes: number }[];
}

/** `unseen private-run --local` as a user types it. */
export async function* endToEndFindings(note: Note): AsyncGenerator<Finding> {
  const { pictures, source } = await openXray(3);
  const home = temporaryDirectory("proof-private-run");
  for (const [index, cut] of [1, 2, 3].entries()) {
    const file = join(home, `scan-${index}.png`);
    writeFileSync(file, await pngOf(pictures[index]!));
    note(`cut ${cut}`);
    const started = performance.now();
    const run = await ask<LocalRun>(["private-run", "--local", "--model", XRAY_MODEL, "--cut", String(cut), file], { home });
    const whole = (performance.now() - started) / 1000;
    const way = run.stages.reduce((sum, { seconds }) => sum + seconds, 0);
    yield {
      claim: `Cut ${cut}: one picture (${source}) through user, hub, enclave and creator, four processes`,
      figure: `${way.toFixed(1)} s on the way, ${whole.toFixed(1)} s with starting all of them; ${run.label}, plain model ${run.plainLabel}; largest error ${run.maxError.toExponential(1)}`,
      bar: `below ${BUDGET / 2} s on the way, same label`,
      holds: way < BUDGET / 2 && run.label === run.plainLabel,
    };
    yield {
      claim: `Cut ${cut}: its stages`,
      figure: run.stages.map(({ name, seconds, bytes }) => `${name} ${seconds.toFixed(2)} s${bytes ? ` ${bytes} B` : ""}`).join("; "),
      bar: "-",
      holds: true,
    };
  }
}

/** Searches what each party could have seen. */
export async function* blindFindings(note: Note): AsyncGenerator<Finding> {
  const { pictures } = await openXray(12);
  const parties = await startParties();
  try {
    if (!mayReadMemory(parties.processOf("hub"))) {
      yield {
        claim: "Nobody but the user holds the picture",
        figure: "this user may not read the memory of processes",
        bar: "-",
        holds: null,
      };
      return;
    }
    const picture = pictures.find(hasDetail)!;
    const needles = needlesOf(picture, SIDE);
    const file = join(parties.directory, "scan.png");
    writeFileSync(file, await pngOf(picture));
    const environment = { UNSEEN_HUB: parties.url, UNSEEN_HUB_KEY: parties.apiKeys.user, UNSEEN_REQUIRE_ATTESTATION: parties.policyFile };
    for (const cut of [1, 2, 3]) {
      note(`cut ${cut}`);
      const running = startCommand(["private-run", "--cut", String(cut), file, "--json"], { home: parties.directory, environment });
      // The creator is held, so that the user's process waits while its memory is searched: the control.
      if (cut === 3) {
        await waitFor(() => running.stderr().includes("Cut 3"));
        process.kill(parties.processOf("creator"), "SIGSTOP");
        let control: string[] = [];
        for (let look = 0; look < 40 && control.length === 0; look += 1) {
          await sleep(500);
          control = findInMemory(running.child.pid!, needles);
        }
        process.kill(parties.processOf("creator"), "SIGCONT");
        yield {
          claim: "Control: the same search of the user's memory finds the picture",
          figure: `${control.length} of ${needles.length} forms`,
          bar: "at least 1",
          holds: control.length > 0,
        };
      }
      const { code, stderr } = await running.ended;
      if (code !== 0) throw new Error(stderr);
    }
    for (const party of ["hub", "enclave", "creator"] as const) {
      const inMemory = findInMemory(parties.processOf(party), needles);
      const inFiles = findInFiles(parties.homes[party], needles);
      yield {
        claim: `The ${party}: its memory, its files and its log, searched for ${needles.length} forms of the picture after three cuts`,
        figure: `${inMemory.length} in memory, ${inFiles.length} in files${inMemory.length + inFiles.length > 0 ? `: ${[...inMemory, ...inFiles.flat()].join(", ")}` : ""}`,
        bar: "0",
        holds: inMemory.length + inFiles.length === 0 && !parties.stderrOf(party).includes("scan.png"),
      };
    }
    yield await saveArtefacts(parties, picture);
  } finally {
    await parties.stop();
  }
}

/** Draws what each party got, from what was sent to it. */
async function saveArtefacts(parties: Parties, picture: Uint8Array): Promise<Finding> {
  const session = await parties.openSession({ cut: 2 });
  try {
    const { seen } = await session.run(picture);
    const [channels, height, width] = session.cut.features;
    mkdirSync(ARTEFACTS, { recursive: true });
    const shape = { channels, height, width };
    const paths = await saveViews(ARTEFACTS, {
      user: { bytes: picture, shape: SHAPE },
      hub: seen.hub,
      enclave: seen.enclave[0]!,
      creator: { features: seen.creator, shape },
    });
    // Coefficients below 2^49 stored in 64 bits can be compressed, whatever they hold: so compare with a black picture's.
    const black = await session.run(new Uint8Array(picture.length));
    const share = (bytes: Uint8Array): number => deflateRawSync(bytes).length / bytes.length;
    const [sealed, own, blank] = [share(seen.hub), share(seen.enclave[0]!), share(black.seen.enclave[0]!)];
    return {
      claim:
        "Each party's view of one picture, saved as pictures; the hub's cannot be compressed, the enclave's no better than that of a black picture",
      figure: `${paths.map((path) => path.split("/").at(-1)).join(", ")}; hub ${sealed.toFixed(3)}, enclave ${own.toFixed(4)}, black picture ${blank.toFixed(4)}`,
      bar: "hub above 0.99; enclave within 0.001",
      holds: sealed > 0.99 && Math.abs(own - blank) < 0.001,
    };
  } finally {
    session.close();
  }
}

/** Kills each party with -9 at each stage. */
export async function* killFindings(note: Note): AsyncGenerator<Finding> {
  const { pictures } = await openXray(1);
  const picture = pictures[0]!;
  const [plain] = await runWholeModel(XRAY_MODEL, [Float64Array.from(picture, (byte) => byte / 255)]);
  const decision = plain!.indexOf(Math.max(...plain!));
  const parties = await startParties({ lease: 2 });
  const hub = new HubClient(parties.url, parties.apiKeys.user);
  const stages = [
    "upload keys",
    "upload picture",
    "evaluate on ciphertext",
    "download features",
    "send features",
    "the creator's layers",
    "download answer",
  ];
  let [finished, failed, wrong, twice, lost] = [0, 0, 0, 0, 0];
  const states = new Set<string>();
  const reasons: string[] = [];
  try {
    for (const party of ["hub", "enclave", "creator"] as const satisfies readonly PartyName[]) {
      for (const stage of stages) {
        const killed = Promise.withResolvers<void>();
        let begun = false;
        let session;
        try {
          session = await parties.openSession({
            cut: 3,
            progress(name) {
              if (name !== stage || begun) return;
              begun = true;
              // A moment into the stage, so that the work has begun.
              void sleep(30)
                .then(() => parties.kill(party))
                .then(() => parties.restart(party))
                .then(killed.resolve, killed.reject);
            },
          });
          const result = await session.run(picture);
          await killed.promise;
          const job = await awaitJob(hub, result.job, "queued");
          const names = job.transitions.map(({ state }) => state);
          for (const name of names) states.add(name);
          if (names.filter((name) => name === "evaluated").length !== 1 || names.filter((name) => name === "answered").length !== 1)
            twice += 1;
          if (result.decision !== decision) wrong += 1;
          finished += 1;
          note(`${party} killed in "${stage}": finished, ${names.join(" > ")}`);
        } catch (error) {
          await killed.promise;
          if (UnseenError.isInstance(error)) failed += 1;
          else lost += 1;
          reasons.push(`${party} in ${stage}: ${error instanceof Error ? error.message : String(error)}`);
          note(`${party} killed in "${stage}": ${reasons.at(-1)}`);
        } finally {
          session?.close();
        }
      }
    }
  } finally {
    await parties.stop();
  }
  const runs = 3 * stages.length;
  yield {
    claim: `kill -9 of hub, enclave and creator in each of ${stages.length} stages: the job is finished after the restart, or fails with a reason`,
    figure: `${finished} of ${runs} finished, ${failed} failed with a reason, ${lost} lost${reasons.length > 0 ? ` (${reasons.join("; ")})` : ""}`,
    bar: "none lost",
    holds: lost === 0 && finished + failed === runs && finished > 0,
  };
  yield {
    claim: "Of those finished: evaluated once, answered once, and the plain model's decision",
    figure: `${twice} twice, ${wrong} wrong`,
    bar: "0",
    holds: twice + wrong === 0,
  };
  yield* overBudget();
}

/** A job that takes longer than it may. */
async function* overBudget(): AsyncGenerator<Finding> {
  const { pictures } = await openXray(1);
  const parties = await startParties();
  try {
    const hasty = await parties.openSession({ cut: 3, budget: 0.2 });
    const started = performance.now();
    const reason = await hasty.run(pictures[0]!).then(
      () => "finished",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const seconds = (performance.now() - started) / 1000;
    hasty.close();
    const patient = await parties.openSession({ cut: 3 });
    const next = await patient.run(pictures[0]!).then(
      () => "done",
      () => "failed",
    );
    patient.close();
    yield {
      claim: "A job beyond its budget of 0.2 s is stopped and reported; the next one is done",
      figure: `${reason.includes("EVALUATION_TIMEOUT") ? "EVALUATION_TIMEOUT" : reason} after ${seconds.toFixed(1)} s; next ${next}`,
      bar: "EVALUATION_TIMEOUT, done",
      holds: reason.includes("EVALUATION_TIMEOUT") && next === "done",
    };
  } finally {
    await parties.stop();
  }
}

async function pngOf(picture: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(
    await sharp(picture, { raw: { width: SIDE, height: SIDE, channels: 1 } })
      .png()
      .toBuffer(),
  );
}

function hasDetail(picture: Uint8Array): boolean {
  try {
    return needlesOf(picture, SIDE).length > 0;
  } catch {
    return false;
  }
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(50);
}
