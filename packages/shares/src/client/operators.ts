/**
 * Whether two servers may be one and the same: whoever holds both shares of a row holds the row.
 * @module
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { UnseenError } from "@unseen/core/errors.ts";

/** Addresses of a host name, as text. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

const local = new BlockList();
local.addSubnet("127.0.0.0", 8, "ipv4");
local.addAddress("0.0.0.0", "ipv4");
local.addAddress("::1", "ipv6");
local.addAddress("::", "ipv6");

/** The URL of a server, http or https, without credentials. @throws UnseenError USAGE */
export function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "")
    throw new UnseenError("USAGE", "expected the URL of a share server, http or https and without credentials.", {
      hint: "For example https://a.example:8443.",
    });
  return url;
}

/** Whether what goes to the server can be read on the way: http to another machine. */
export function isReadable(url: URL): boolean {
  const name = hostname(url);
  return url.protocol === "http:" && name !== "localhost" && !isLoopback(name);
}

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && local.check(address, family === 4 ? "ipv4" : "ipv6");
}

/**
 * Whether two servers are on one machine as far as a program can see: equal names, names with an address in common, or both on this
 * machine. Different addresses do not show that their owners are different.
 *
 * @throws UnseenError HOST_UNREACHABLE for a name that does not resolve
 */
export async function areOneMachine(a: URL, b: URL, resolve: Resolve = resolveAll): Promise<boolean> {
  if (hostname(a) === hostname(b)) return true;
  const [addressesA, addressesB] = await Promise.all([addresses(a, resolve), addresses(b, resolve)]);
  return addressesA.some((address) => addressesB.includes(address)) || (addressesA.some(isLoopback) && addressesB.some(isLoopback));
}

/** Refuses two servers on one machine. @throws UnseenError USAGE for one machine; as {@link areOneMachine} */
export async function refuseOneMachine(a: URL, b: URL, resolve: Resolve = resolveAll): Promise<void> {
  if (!(await areOneMachine(a, b, resolve))) return;
  throw new UnseenError("USAGE", `${a.host} and ${b.host} are one machine, which would see both shares and so the activations.`, {
    hint: "Use servers of two operators who do not work together, or allow one for a trial.",
  });
}

/** Addresses of a URL's host; an IPv4 address inside IPv6 counts as the IPv4 one. */
async function addresses(url: URL, resolve: Resolve): Promise<string[]> {
  const found = await resolve(hostname(url)).catch((cause: unknown) => {
    throw new UnseenError("HOST_UNREACHABLE", `the name ${url.hostname} does not resolve.`, { hint: "Check the address.", cause });
  });
  return found.map(plainAddress);
}

function plainAddress(address: string): string {
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address);
  if (mapped === null) return address.toLowerCase();
  if (mapped[1] !== undefined) return mapped[1];
  const [high, low] = [Number.parseInt(mapped[2]!, 16), Number.parseInt(mapped[3]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function hostname(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

async function resolveAll(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
