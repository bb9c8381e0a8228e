/**
 * From what a page asks for to command lines.
 * @module
 */
import type { Home } from "@unseen/client/home.ts";
import type { AskedJob } from "./new-job.ts";
import type { Plan } from "./plan.ts";
import { planAttack, planCompare, planContest, planEncrypt, planPull, planServe, planServeShares, planShare } from "./plan-model-jobs.ts";
import { planCuts, planLeak, planPrivateRun } from "./plan-picture-jobs.ts";

/**
 * @param taken paths that running jobs will make
 * @throws UnseenError REQUEST_INVALID, CHECKPOINT_*, NOT_ENCRYPTED, PERMISSION_DENIED, USAGE for a policy that is none
 */
export async function planJob(job: AskedJob, home: Home, taken: ReadonlySet<string>): Promise<Plan> {
  switch (job.kind) {
    case "pull":
      return planPull(job);
    case "encrypt":
      return planEncrypt(job, home, taken);
    case "serve":
      return planServe(job, home);
    case "attack":
      return planAttack(job, home);
    case "share":
      return planShare(job, home, taken);
    case "serve-shares":
      return planServeShares(job, home);
    case "compare":
      return planCompare(job);
    case "cuts":
      return planCuts(job);
    case "leak":
      return planLeak(job, home, taken);
    case "private-run":
      return planPrivateRun(job);
    case "contest":
      return planContest(job, home, taken);
  }
}
