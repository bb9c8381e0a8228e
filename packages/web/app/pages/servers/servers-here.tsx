/**
 * Servers on this machine, each a process.
 * @module
 */
import type { JSX } from "preact";
import { JobView } from "../../parts/job-view.tsx";
import { fieldOf } from "../models/names.ts";
import { forgetJob, serving } from "./jobs.ts";

export function ServersHere(): JSX.Element {
  return (
    <>
      {serving.value.toReversed().map((job) => {
        const url = fieldOf(job.value.result, "url");
        return (
          <JobView
            key={job.value.id}
            job={job}
            title={url ? `Server at ${url}` : "Server on this machine"}
            onForget={() => forgetJob(job.value)}
          />
        );
      })}
    </>
  );
}
