/**
 * The one root that vouches for real hardware.
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import dcap from "@phala/dcap-qvl";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Policy } from "./policy.ts";

/** SHA-256 of "Intel SGX Root CA" (DER), valid 2018 to 2049, published at certificates.trustedservices.intel.com. */
const INTEL_ROOT_HASH = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

/**
 * The root that a policy trusts: Intel's in production, else the simulator's alone.
 * @throws UnseenError USAGE for a simulator policy without a root
 */
export function trustedRoot(policy: Policy): X509Certificate {
  if (policy.mode === "production") {
    const der = dcap.constants.TRUSTED_ROOT_CA_DER;
    // The library brings the certificate, but does not get to choose it.
    if (createHash("sha256").update(der).digest("hex") !== INTEL_ROOT_HASH)
      throw new UnseenError("INTERNAL", "the verifying library brings another root certificate than Intel's.", {
        hint: "Reinstall: a dependency was changed.",
      });
    return new X509Certificate(der);
  }
  try {
    return new X509Certificate(Buffer.from(policy.simulatorRoot ?? "", "base64"));
  } catch (cause) {
    throw new UnseenError("USAGE", "simulatorRoot: expected the simulator's root certificate (base64 of DER), got something else.", {
      hint: "Take the policy that the simulator writes.",
      cause,
    });
  }
}
