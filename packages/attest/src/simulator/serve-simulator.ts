/**
 * The simulator behind the interfaces of the real thing: dstack's guest agent, and a cache of the vendor's statements (PCCS).
 * @module
 */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import type { Collateral } from "../collateral.ts";
import { PLATFORM } from "./authority.ts";
import { SIMULATED_REGISTERS } from "./platform.ts";
import { SIMULATED_COMPOSE_HASH, type SimulatorOptions, simulatorSource } from "./simulator-source.ts";

/** CWE-770. */
const REQUEST_BYTES = 64 * 1024;

/** A server that runs. */
export interface RunningServer {
  /** Path of the socket, or address. */
  readonly endpoint: string;
  close(): Promise<void>;
}

/**
 * Serves a simulated guest agent: `POST /GetQuote`, `/GetKey`, `/Info`, JSON, as dstack's SDK calls them.
 *
 * @param socket path of the Unix socket to listen on; it must not exist
 * @throws UnseenError PORT_IN_USE, PERMISSION_DENIED
 */
export async function serveDstackSimulator({ socket, ...options }: SimulatorOptions & { readonly socket: string }): Promise<RunningServer> {
  const source = simulatorSource(options);
  const composeHash = options.composeHash ?? SIMULATED_COMPOSE_HASH;
  const procedures: Readonly<Record<string, (request: Record<string, unknown>) => Promise<object>>> = {
    "/GetQuote": async ({ report_data }) => {
      const data = Buffer.alloc(64);
      Buffer.from(text(report_data), "hex").copy(data);
      const { quote, eventLog } = await source.quote(data);
      return { quote: Buffer.from(quote).toString("hex"), event_log: eventLog, report_data: data.toString("hex"), vm_config: "{}" };
    },
    "/GetKey": async ({ path, purpose }) => {
      const key = await source.deriveKey(JSON.stringify([text(path), text(purpose)]));
      return { key: Buffer.from(key).toString("hex"), signature_chain: [] };
    },
    "/Info": async () => {
      const { eventLog } = await source.quote(new Uint8Array(64));
      const tcb = { ...SIMULATED_REGISTERS, compose_hash: composeHash, event_log: JSON.parse(eventLog) as unknown };
      return {
        app_id: composeHash.slice(0, 40),
        instance_id: "",
        app_name: "simulator",
        compose_hash: composeHash,
        tcb_info: JSON.stringify(tcb),
      };
    },
  };
  return await serve({ path: socket }, async (request, response) => {
    const procedure = request.method === "POST" ? procedures[request.url ?? ""] : undefined;
    const answer = (status: number, body: object): void => {
      const bytes = Buffer.from(JSON.stringify(body));
      // The SDK reads until this length.
      response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length }).end(bytes);
    };
    if (!procedure) return answer(404, { error: "unknown procedure" });
    try {
      const parts: Buffer[] = [];
      let length = 0;
      for await (const part of request as AsyncIterable<Buffer>) {
        length += part.length;
        if (length > REQUEST_BYTES)
          throw new UnseenError("REQUEST_TOO_LARGE", `request: expected at most ${REQUEST_BYTES} bytes, got more.`);
        parts.push(part);
      }
      return answer(200, await procedure(JSON.parse(Buffer.concat(parts).toString("utf8")) as Record<string, unknown>));
    } catch (error) {
      return answer(400, {
        error: UnseenError.isInstance(error) ? error.message : "expected a JSON object with text fields, got something else.",
      });
    }
  });
}

/**
 * Serves the simulated vendor's statements on 127.0.0.1, in the layout of the vendor's service, version 4.
 *
 * @param port 0 for any
 * @throws UnseenError PORT_IN_USE
 */
export async function serveSimulatedCollateral({ port, ...options }: SimulatorOptions & { readonly port: number }): Promise<RunningServer> {
  const source = simulatorSource(options);
  return await serve({ port, host: "127.0.0.1" }, async (request, response) => {
    const collateral = (await source.quote(new Uint8Array(64))).collateral as Collateral;
    const answer = answersOf(collateral)[request.url ?? ""];
    if (!answer) return void response.writeHead(404).end();
    const [body, headers] = answer;
    response
      .writeHead(200, Object.fromEntries(Object.entries(headers).map(([name, chain]) => [name, encodeURIComponent(chain)])))
      .end(body);
  });
}

/** Bodies and headers by address. */
function answersOf(collateral: Collateral): Readonly<Record<string, readonly [string | Buffer, Readonly<Record<string, string>>]>> {
  const { pck_crl, root_ca_crl, tcb_info, tcb_info_signature, qe_identity, qe_identity_signature } = collateral;
  const [sgx, tdx] = ["/sgx/certification/v4", "/tdx/certification/v4"];
  return {
    [`${sgx}/pckcrl?ca=platform&encoding=der`]: [
      Buffer.from(pck_crl, "hex"),
      { "SGX-PCK-CRL-Issuer-Chain": collateral.pck_crl_issuer_chain },
    ],
    [`${sgx}/rootcacrl`]: [root_ca_crl, {}],
    [`${tdx}/tcb?fmspc=${PLATFORM.fmspc.toUpperCase()}`]: [
      `{"tcbInfo":${tcb_info},"signature":"${tcb_info_signature}"}`,
      { "TCB-Info-Issuer-Chain": collateral.tcb_info_issuer_chain },
    ],
    [`${tdx}/qe/identity?update=standard`]: [
      `{"enclaveIdentity":${qe_identity},"signature":"${qe_identity_signature}"}`,
      { "SGX-Enclave-Identity-Issuer-Chain": collateral.qe_identity_issuer_chain },
    ],
  };
}

async function serve(
  where: ListenOptions & { path?: string },
  handle: (...parameters: Parameters<RequestListener>) => Promise<void>,
): Promise<RunningServer> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  try {
    server.listen(where);
    await once(server, "listening");
  } catch (error) {
    throw explainSystemError(error, where.path ?? `port ${where.port}`);
  }
  const endpoint = where.path ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    endpoint,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("no text");
  return value;
}
