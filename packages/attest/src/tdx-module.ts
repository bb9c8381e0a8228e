/**
 * The TDX module: the firmware between the hypervisor and trust domains (Intel TDX DCAP, "TDX module identity"). The verifying
 * library does not look at it.
 * @module
 */
import type { TDReport10 } from "@phala/dcap-qvl";
import type { TcbInfo } from "./collateral.ts";
import { refusal } from "./refuse.ts";

/**
 * Checks that the module is Intel's, not for debugging, and at a level that is up to date.
 * @throws UnseenError ATTESTATION_INVALID, ATTESTATION_TCB
 */
export function checkModule({ teeTcbSvn, mrSignerSeam, seamAttributes }: TDReport10, { tdxModule, tdxModuleIdentities }: TcbInfo): void {
  const [level = 0, version = 0] = teeTcbSvn;
  // Version 0 is the first module, which the statement describes without levels.
  const name = `TDX_${version.toString(16).padStart(2, "0")}`;
  const versioned = version > 0 ? tdxModuleIdentities.find(({ id }) => id.toLowerCase() === name.toLowerCase()) : undefined;
  if (version > 0 && versioned === undefined)
    throw refusal("ATTESTATION_TCB", `TDX module: expected a version that the vendor lists, got ${version}.`);
  const identity = versioned ?? tdxModule;
  const expected = Buffer.from(identity.attributes, "hex");
  const mask = Buffer.from(identity.attributesMask, "hex");
  const masked = (attributes: Uint8Array): number[] => [...mask].map((bits, index) => (attributes[index] ?? 0) & bits);
  // Zeros are Intel's own signature and no attribute set; anything else is no module for production, whatever the statement says.
  const isIntels = mrSignerSeam.every((byte) => byte === 0) && Buffer.from(identity.mrsigner, "hex").equals(mrSignerSeam);
  const isPlain = seamAttributes.every((byte) => byte === 0) && masked(seamAttributes).join() === masked(expected).join();
  if (!isIntels || !isPlain)
    throw refusal("ATTESTATION_INVALID", "TDX module: expected the vendor's module without attributes, got another one.");
  if (versioned === undefined) return;
  const status = versioned.tcbLevels.find(({ tcb }) => tcb.isvsvn <= level)?.tcbStatus ?? "unknown";
  if (status !== "UpToDate") throw refusal("ATTESTATION_TCB", `TDX module: expected a level that is UpToDate, got ${status.slice(0, 50)}.`);
}
