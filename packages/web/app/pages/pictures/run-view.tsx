/**
 * One picture on its way, and its answer.
 * @module
 */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Job } from "../../../src/protocol/jobs.ts";
import { isActive } from "../../api/jobs.ts";
import { Button } from "../../parts/button.tsx";
import { JobView } from "../../parts/job-view.tsx";
import { Answer } from "./answer.tsx";
import { Parties } from "./parties.tsx";
import { enclaveOf, stagesOf, viewsOf, type RunResult } from "./run-story.ts";
import { settingsOfCommand } from "./settings.ts";
import { Way } from "./way.tsx";

export function RunView({ job, onAgain }: { readonly job: ReadonlySignal<Job>; readonly onAgain: () => void }): JSX.Element {
  const { value } = job;
  const { command, state, result } = value;
  return (
    <>
      {state === "done" && <Answer result={result as RunResult} />}
      {!isActive(value) && (
        <div class="row">
          <Button kind="primary" icon="again" onClick={onAgain}>
            Again with other settings
          </Button>
        </div>
      )}
      <section class="stack" aria-labelledby="who-sees-what">
        <h2 id="who-sees-what">Who sees what</h2>
        <Parties
          views={viewsOf(value)}
          enclave={enclaveOf(value)}
          settings={settingsOfCommand(command)}
          bundled={command.includes("--local")}
          running={isActive(value)}
        />
      </section>
      <JobView job={job} title="The way of your picture">
        <Way stages={stagesOf(value)} />
      </JobView>
    </>
  );
}
