/**
 * What one account may use, and how long things last.
 * @module
 */

/** Limits of one hub; all may be changed at its start. */
export interface HubSettings {
  /** Seconds until a worker that is not heard of loses its job. */
  readonly leaseSeconds: number;
  /** Times that a step is begun before the job fails. */
  readonly attempts: number;
  /** Seconds that a job may stay in one state. */
  readonly stateSeconds: number;
  /** Seconds that blobs outlive their last use: a finished job, or an upload that nothing came of. */
  readonly retentionSeconds: number;
  /** Seconds between two looks for what has run out. */
  readonly sweepSeconds: number;
  /** Seconds until a call that no worker takes is refused, and until one that is not answered is. */
  readonly callTakeSeconds: number;
  readonly callAnswerSeconds: number;
  /** Calls at once, of one account and of all (CWE-770). */
  readonly callsPerAccount: number;
  readonly calls: number;
  /** Requests of one account that wait for something. */
  readonly waitsPerAccount: number;
  readonly openJobs: number;
  readonly jobsPerDay: number;
  /** Bytes of blobs and unfinished uploads of one account. */
  readonly storedBytes: number;
  readonly openUploads: number;
  /** Versions that one creator may publish. */
  readonly versions: number;
  /** Requests at once and per second. Of an account; of an address that shows no key. */
  readonly accountBurst: number;
  readonly accountPerSecond: number;
  readonly addressBurst: number;
  readonly addressPerSecond: number;
  /** Seconds within which a whole request must arrive: slower uploads are cut off and go on where they were (CWE-400). */
  readonly requestSeconds: number;
  /** Connections at once. */
  readonly connections: number;
}

/** For a hub of some hundred accounts on one machine. */
export const defaultSettings: HubSettings = {
  leaseSeconds: 30,
  attempts: 3,
  stateSeconds: 3600,
  retentionSeconds: 24 * 3600,
  sweepSeconds: 2,
  callTakeSeconds: 10,
  callAnswerSeconds: 30,
  callsPerAccount: 16,
  calls: 512,
  waitsPerAccount: 64,
  openJobs: 20,
  jobsPerDay: 1000,
  storedBytes: 4 * 1024 ** 3,
  openUploads: 64,
  versions: 1000,
  accountBurst: 400,
  accountPerSecond: 50,
  addressBurst: 200,
  addressPerSecond: 10,
  requestSeconds: 60,
  connections: 1024,
};
