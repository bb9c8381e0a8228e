/**
 * Addresses in a model's answer. They come from an untrusted machine, so few are followed, and none without being asked.
 * @module
 */

/** Characters; longer ones are shown as text. */
const MAXIMUM_ADDRESS = 2_000;
const PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

/**
 * The address as it would be opened, its host in ASCII so that look-alike letters show; null where it must not be opened: another
 * protocol (CWE-79), a name and password before the host (CWE-451), or this very site, whose addresses carry the access code.
 */
export function safeLink(address: string, origin: string): string | null {
  if (address.length > MAXIMUM_ADDRESS) return null;
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (!PROTOCOLS.has(url.protocol) || url.username !== "" || url.password !== "" || url.origin === origin) return null;
  return url.href;
}
