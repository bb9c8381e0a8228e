/**
 * What whoever verifies evidence accepts.
 * @module
 */
import { z } from "zod";

const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `must be ${bytes} bytes in lower-case hexadecimal`);

/** One program on one platform. A register that is left out is not looked at; `rtmr3` is given by `composeHash`. */
export const measurementSchema = z.strictObject({
  /** What messages call it. */
  name: z.string().min(1).max(100),
  /** Firmware. */
  mrtd: hex(48).optional(),
  /** Hardware configuration, kernel, command line and initial file system. */
  rtmr0: hex(48).optional(),
  rtmr1: hex(48).optional(),
  rtmr2: hex(48).optional(),
  /** SHA-256 of the application's compose file, from the event log that replays to RTMR3. */
  composeHash: hex(32),
});

export type Measurement = z.infer<typeof measurementSchema>;

export const policySchema = z.strictObject({
  /** "production": Intel's root alone. "simulator": the simulator's root alone, for tests; nothing is protected. */
  mode: z.enum(["production", "simulator"]),
  /** At least one must match. */
  measurements: z.array(measurementSchema).min(1).max(100),
  /** TCB states besides UpToDate. */
  tcbStatuses: z.array(z.enum(["SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"])).default([]),
  /** Advisories that are accepted with those states; any other one refuses. */
  advisories: z.array(z.string().regex(/^INTEL-SA-\d{5}$/)).default([]),
  /** Where collateral is fetched when it is not stapled; null = stapled alone. */
  collateralUrl: z.url().nullable().default(null),
  /** Simulator mode alone: the root certificate, base64 of DER. */
  simulatorRoot: z.string().optional(),
});

export type Policy = z.infer<typeof policySchema>;
