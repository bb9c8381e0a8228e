/**
 * Two servers that each see noise: switched on step by step, and looked at.
 * @module
 */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { PageFrame } from "../../page-frame.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { refreshLibrary } from "../../api/library.ts";
import { ConnectCard } from "./connect-card.tsx";
import { jobsFailure, refreshJobs } from "./jobs.ts";
import { Running } from "./running.tsx";
import { servers, serversFailure, watchServers } from "./servers.ts";
import { SplitCard } from "./split-card.tsx";
import { StoryCard } from "./story-card.tsx";

export default function ServersPage(): JSX.Element {
  useEffect(() => {
    void Promise.all([refreshLibrary(), refreshJobs()]);
    return watchServers();
  }, []);
  const on = servers.value;
  return (
    <PageFrame
      title="Two servers"
      summary="Your text goes to two machines at once, split so that each gets random numbers. Neither learns it alone; both together would."
    >
      <FailureNotice failure={serversFailure.value ?? jobsFailure.value} />
      {on === undefined && !serversFailure.value && <p class="quiet">Loading</p>}
      {on && <Running on={on} />}
      {on === null && (
        <>
          <StoryCard />
          <SplitCard />
          <ConnectCard />
        </>
      )}
    </PageFrame>
  );
}
