/**
 * Models that were split for two servers here, whose servers' directories still lie in the home.
 * @module
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Bundle } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";
import { layoutDigest, type Layout } from "@unseen/shares/layout.ts";
import { ClientModel } from "@unseen/shares/model/client-model.ts";
import { openShareDirectory } from "@unseen/shares/model/share-directory.ts";
import type { SplitRow } from "@unseen/web/protocol/library.ts";
import { sharesDirectory } from "../../shares/connect-shares.ts";

/** Where the console puts the servers' directories. */
export function serversDirectory(home: Home): string {
  return join(home.root, "servers");
}

/** Those that the client's part in the home belongs to, by the names of their directories. */
export async function findSplits(home: Home, bundles: readonly Bundle[]): Promise<SplitRow[]> {
  const root = serversDirectory(home);
  const names = await readdir(root).catch(() => []);
  const found = await Promise.all(
    names.toSorted().map(async (name): Promise<SplitRow | null> => {
      const [a, b] = [join(root, name, "a"), join(root, name, "b")];
      const layout = await layoutOf(async () => (await openShareDirectory(a)).layout);
      const bundle = bundles.find(({ fingerprint }) => fingerprint === layout?.fingerprint);
      const own = bundle && (await layoutOf(async () => (await ClientModel.open(sharesDirectory(home, bundle.fingerprint))).layout));
      if (!layout || !own || !layoutDigest(layout).every((byte, at) => byte === layoutDigest(own)[at])) return null;
      return { name: bundle.name, fingerprint: bundle.fingerprint, bits: layout.limbs === 1 ? 8 : 16, directories: [a, b] };
    }),
  );
  return found.filter((split) => split !== null);
}

/** null where there is none, or none that can be read. */
async function layoutOf(read: () => Promise<Layout>): Promise<Layout | null> {
  return read().catch(() => null);
}
