/**
 * The machines that serve: how each is, and what it has proved.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { refreshLibrary } from "../../api/library.ts";
import { Button } from "../../parts/button.tsx";
import { CommandLine } from "../../parts/job-view.tsx";
import { Empty, FailureNotice } from "../../parts/notice.tsx";
import { AddHostDialog } from "./add-host-dialog.tsx";
import { HostCard } from "./host-card.tsx";
import { hosts, hostsFailure, refreshHosts } from "./hosts.ts";
import { jobsFailure, refreshJobs } from "./jobs.ts";
import style from "./models.module.css";

const PERIOD = 10_000; // ms

export function HostsTab(): JSX.Element {
  // Address that the form begins with; null while it is closed.
  const [adding, setAdding] = useState<string | null>(null);
  useEffect(() => {
    void Promise.all([refreshHosts(), refreshJobs(), refreshLibrary()]);
    const ask = (): void => void (document.visibilityState === "visible" && refreshHosts());
    const timer = setInterval(ask, PERIOD);
    document.addEventListener("visibilitychange", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, []);
  const rows = hosts.value;
  return (
    <section class="stack" aria-label="Hosts">
      <p class={style["worth"]}>
        A host holds an encrypted model and computes with it. It is asked every {PERIOD / 1000} seconds while you look.
      </p>
      <div class="row">
        <Button kind="primary" icon="add" onClick={() => setAdding("")}>
          Add a host
        </Button>
      </div>
      <FailureNotice failure={hostsFailure.value ?? jobsFailure.value} />
      {rows?.map((row) => (
        <HostCard key={row.url} row={row} onAddAgain={() => setAdding(row.url)} />
      ))}
      {rows?.length === 0 && (
        <Empty title="No host yet" icon="servers">
          <p>
            Here will be the machines that serve your models. Start one as below and add it, or <a href="/models">try a model</a> on this
            machine.
          </p>
        </Empty>
      )}
      {!rows && !hostsFailure.value && <p class="quiet">Loading</p>}
      <section class="card" aria-label="On the untrusted machine">
        <h2>On the untrusted machine</h2>
        <p>
          Copy the encrypted model there, and nothing else: no key, no words. <code>DIRECTORY</code> is its path on that machine.
        </p>
        <CommandLine command="npx unseen serve DIRECTORY" />
        <p>
          The host listens on its own machine only. Reach it through a tunnel from here; then its address is{" "}
          <code>http://127.0.0.1:8801</code>.
        </p>
        <CommandLine command="ssh -N -L 8801:127.0.0.1:8801 gpu-machine" />
        <p class="quiet small">Stock vLLM, SGLang and llama.cpp serve encrypted models too. Name the model when you add such a host.</p>
      </section>
      {adding !== null && <AddHostDialog url={adding} onClose={() => setAdding(null)} />}
    </section>
  );
}
