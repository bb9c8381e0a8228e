/**
 * Opens the console of one home for a gateway.
 * @module
 */
import type { Site } from "@unseen/client/gateway/gateway.ts";
import { openWebAssets } from "@unseen/web/assets.ts";
import { accessAddress, readAccessCode } from "./access.ts";
import type { Console } from "./console.ts";
import { openComparison } from "./comparison-routes.ts";
import { openConversations } from "./conversation-routes.ts";
import { openHosts } from "./host-routes.ts";
import { openJobs } from "./job-routes.ts";
import { openLab } from "./lab-routes.ts";
import { openLibrary } from "./library-routes.ts";
import { openServers } from "./server-routes.ts";
import { createSite } from "./site.ts";

export interface OpenConsole {
  readonly site: Site;
  /** The address to open in a browser, for a gateway at `url`. */
  address(url: string): string;
  /** Ends what runs. */
  close(): Promise<void>;
}

/** @returns null where the pages were not built. Throws `DISK_FULL`, `PERMISSION_DENIED`. */
export async function openConsole(console: Console): Promise<OpenConsole | null> {
  const assets = await openWebAssets();
  if (!assets) return null;
  const accessCode = await readAccessCode(console.home);
  const parts = [
    openConversations(console),
    openLibrary(console),
    openJobs(console),
    openHosts(console),
    openServers(console),
    openLab(console),
    openComparison(console),
  ];
  return {
    site: createSite({ accessCode, assets, parts }),
    address: (url) => accessAddress(url, accessCode),
    close: async () => void (await Promise.allSettled(parts.map((part) => part.close?.()))),
  };
}
