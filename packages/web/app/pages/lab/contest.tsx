/**
 * Having others attack: a contest on this machine.
 * @module
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job } from "../../../src/protocol/jobs.ts";
import type { EncryptedRow } from "../../../src/protocol/library.ts";
import { failureOf } from "../../api/console.ts";
import { findJobs, isActive, startJob } from "../../api/jobs.ts";
import { Button } from "../../parts/button.tsx";
import { SelectField, TextField } from "../../parts/field.tsx";
import { CommandLine, JobView } from "../../parts/job-view.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { count } from "../../parts/numbers.ts";
import type { ShownJob } from "./shown-job.ts";

/** Those that are served, and those that have just ended. */
const contests = signal<readonly ShownJob[]>([]);

export function Contest({ encrypted }: { readonly encrypted: readonly EncryptedRow[] }): JSX.Element {
  const [failure, setFailure] = useState<Failure | null>(null);
  const [real, setReal] = useState(false);
  useEffect(() => {
    const adopt = async (): Promise<void> => {
      const found = await findJobs("contest");
      const known = new Set(contests.value);
      contests.value = [...contests.value, ...found.filter((job) => isActive(job.value) && !known.has(job))];
    };
    adopt().catch(() => {});
  }, []);
  const begin = async (asked: Parameters<typeof startJob>[0]): Promise<void> => {
    setFailure(null);
    try {
      const job = await startJob(asked);
      contests.value = [job, ...contests.value];
      setReal(false);
    } catch (error) {
      setFailure(failureOf(error));
    }
  };
  return (
    <section class="stack" aria-labelledby="contest">
      <div class="card">
        <h2 id="contest">Have others attack: a contest</h2>
        <p>
          A contest publishes one text as encrypted token ids. People say which token stands behind which id, and get points. They get no
          weights, so it measures what ids alone give away (T0); a contest that nobody wins says nothing about a host.
        </p>
        <div class="row">
          <Button onClick={() => void begin({ kind: "contest", practice: true })}>Start a practice contest</Button>
          <Button expanded={real} disabled={encrypted.length === 0} onClick={() => setReal(!real)}>
            One from your own model
          </Button>
        </div>
        <p class="small quiet">Practice takes a key for this once, and a text that comes along.</p>
        {real && <RealContest encrypted={encrypted} onBegin={begin} />}
        <FailureNotice failure={failure} />
      </div>
      {contests.value.map((job) => (
        <JobView
          key={job.value.id}
          job={job}
          title={`Contest: ${job.value.subject}`}
          onForget={() => (contests.value = contests.value.filter((other) => other !== job))}
        >
          <Served job={job.value} />
        </JobView>
      ))}
    </section>
  );
}

function RealContest({
  encrypted,
  onBegin,
}: {
  readonly encrypted: readonly EncryptedRow[];
  readonly onBegin: (asked: Parameters<typeof startJob>[0]) => Promise<void>;
}): JSX.Element {
  const [fingerprint, setFingerprint] = useState(encrypted[0]!.fingerprint);
  const [date, setDate] = useState(new Date().toISOString().slice(0, 10));
  const [prompt, setPrompt] = useState("");
  const [response, setResponse] = useState("");
  return (
    <form
      class="stack"
      aria-label="A contest from your own model"
      onSubmit={(event) => {
        event.preventDefault();
        void onBegin({ kind: "contest", model: fingerprint, date, ...(prompt ? { prompt } : {}), response });
      }}
    >
      <p class="small">
        Take a key that protects nothing else: hints, and the solution that you publish afterwards, are known pairs of it.
      </p>
      <div class="columns">
        <SelectField
          name="Model of the contest"
          value={fingerprint}
          choices={encrypted.map((model) => ({ value: model.fingerprint, label: `${model.name}, key ${model.key ?? "unknown"}` }))}
          onChange={setFingerprint}
        />
        <TextField name="Day that it closes with, in UTC" required value={date} placeholder="YYYY-MM-DD" onInput={setDate} />
      </div>
      <TextField name="What was asked" lines={2} value={prompt} onInput={setPrompt} />
      <TextField name="What was answered" lines={4} required value={response} onInput={setResponse} />
      <div class="row">
        <Button type="submit">Start this contest</Button>
      </div>
    </form>
  );
}

interface Made {
  readonly contest: string;
  readonly promptTokens: number;
  readonly responseTokens: number;
  readonly distinctTokens: number;
}

function Served({ job }: { readonly job: Job }): JSX.Element | null {
  const made = job.details.find(({ kind }) => kind === "made")?.value as Made | undefined;
  const served = job.state === "ready" ? (job.result as { readonly url: string; readonly date: string }) : null;
  if (!made && !served) return null;
  return (
    <>
      {made && (
        <p class="small quiet">
          {count(made.promptTokens + made.responseTokens, "token")}, {made.distinctTokens} of them different.
        </p>
      )}
      {served && isLoopback(served.url) && (
        <p>
          Its page and leaderboard:{" "}
          <a href={served.url} target="_blank" rel="noopener noreferrer">
            {served.url}
          </a>
          . It closes when {served.date} ends, in UTC.
        </p>
      )}
      {served && made && (
        <div class="stack">
          <p class="small quiet">Invite somebody; the token that it prints is what one submits with:</p>
          <CommandLine command={`npx unseen contest invite NAME --dir ${shellWord(directoryOf(made))}`} />
        </div>
      )}
    </>
  );
}

function directoryOf({ contest }: Made): string {
  return contest.replace(/[/\\]public[/\\]contest\.json$/, "");
}

/** As one word of a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Nothing else becomes a link, whatever a process printed (CWE-601). */
function isLoopback(url: string): boolean {
  return /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):\d+\/?$/.test(url);
}
