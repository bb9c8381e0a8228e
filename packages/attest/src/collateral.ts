/**
 * Collateral: what the vendor states about platforms (Intel SGX and TDX Provisioning Certification Service, version 4), and its form here.
 * @module
 */
import { z } from "zod";
import { refusal } from "./refuse.ts";

const hexadecimal = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`, "i"));
const svn = z.number().int().min(0).max(65_535);
const components = z.array(z.object({ svn: svn.max(255) })).length(16);
const chain = z.string().max(20_000);
const list = z
  .string()
  .max(600_000)
  .regex(/^(?:[0-9a-f]{2})+$/);

/** Nine fields, named as the verifying library names them; lists and signatures in hexadecimal. Limits: CWE-770. */
export const collateralSchema = z.strictObject({
  pck_crl_issuer_chain: chain,
  root_ca_crl: list,
  pck_crl: list,
  tcb_info_issuer_chain: chain,
  /** JSON text, as signed. */
  tcb_info: z.string().max(400_000),
  tcb_info_signature: z.string().regex(/^[0-9a-f]{128}$/),
  qe_identity_issuer_chain: chain,
  /** JSON text, as signed. */
  qe_identity: z.string().max(100_000),
  qe_identity_signature: z.string().regex(/^[0-9a-f]{128}$/),
});

/** Collateral, whose form is checked. */
export type Collateral = z.infer<typeof collateralSchema>;

const dated = { issueDate: z.iso.datetime(), nextUpdate: z.iso.datetime() };
const moduleIdentity = { mrsigner: hexadecimal(48), attributes: hexadecimal(8), attributesMask: hexadecimal(8) };

// The library compares what it finds, and a comparison with a missing number holds: so the form is checked here.
const tcbInfoSchema = z.object({
  ...dated,
  id: z.literal("TDX"),
  version: z.number().int().min(3),
  fmspc: hexadecimal(6),
  tdxModule: z.object(moduleIdentity),
  tdxModuleIdentities: z
    .array(
      z.object({
        ...moduleIdentity,
        id: z.string().max(20),
        tcbLevels: z.array(z.object({ tcb: z.object({ isvsvn: svn }), tcbStatus: z.string().max(50) })).max(100),
      }),
    )
    .max(100)
    .default([]),
  tcbLevels: z
    .array(
      z.object({
        tcb: z.object({ pcesvn: svn, sgxtcbcomponents: components, tdxtcbcomponents: components }),
        tcbStatus: z.string().max(50),
        advisoryIDs: z.array(z.string().max(50)).max(500).optional(),
      }),
    )
    .min(1)
    .max(200),
});

const qeIdentitySchema = z.object({
  ...dated,
  id: z.literal("TD_QE"),
  version: z.number().int().min(2),
  miscselect: hexadecimal(4),
  miscselectMask: hexadecimal(4),
  attributes: hexadecimal(16),
  attributesMask: hexadecimal(16),
  mrsigner: hexadecimal(32),
  isvprodid: svn,
  tcbLevels: z
    .array(z.object({ tcb: z.object({ isvsvn: svn }), tcbStatus: z.string().max(50) }))
    .min(1)
    .max(100),
});

/** The vendor's statement about the levels of platforms and TDX modules. */
export type TcbInfo = z.infer<typeof tcbInfoSchema>;

/** What collateral states, before its signatures are verified. */
export interface Statements {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: z.infer<typeof qeIdentitySchema>;
}

/** Reads stapled collateral: base64 of JSON. @throws UnseenError ATTESTATION_INVALID */
export function decodeCollateral(base64: string): Collateral {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) throw refusal("ATTESTATION_INVALID", "collateral: expected base64, got something else.");
  return parse(collateralSchema, bytes.toString("utf8"), "collateral");
}

/** Collateral as evidence carries it. */
export function encodeCollateral(collateral: object): string {
  return Buffer.from(JSON.stringify(collateral)).toString("base64");
}

/** Reads both signed statements. @throws UnseenError ATTESTATION_INVALID */
export function readStatements({ tcb_info, qe_identity }: Collateral): Statements {
  return { tcbInfo: parse(tcbInfoSchema, tcb_info, "TCB info"), qeIdentity: parse(qeIdentitySchema, qe_identity, "QE identity") };
}

/** Checks that both statements are valid at a time. @throws UnseenError ATTESTATION_EXPIRED */
export function checkStatementDates({ tcbInfo, qeIdentity }: Statements, now: Date): void {
  for (const [what, { issueDate, nextUpdate }] of Object.entries({ "TCB info": tcbInfo, "QE identity": qeIdentity }))
    if (!(Date.parse(issueDate) <= now.getTime() && now.getTime() <= Date.parse(nextUpdate)))
      throw refusal("ATTESTATION_EXPIRED", `${what}: it is valid from ${issueDate} to ${nextUpdate}.`);
}

function parse<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", `${what}: expected JSON, got something else.`, cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const field = result.error.issues[0]?.path.join(".") ?? "";
  throw refusal("ATTESTATION_INVALID", `${what}: expected the documented form, got another one${field && ` at ${field.slice(0, 100)}`}.`);
}
