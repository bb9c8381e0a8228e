/**
 * A real headless Chromium: the system's, or the one that comes as an npm package.
 * @module
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"];
const ARTIFACTS = fileURLToPath(new URL("../../artifacts/web/", import.meta.url));

/** Starts a browser; null where none can be had, and then `reason` says why. */
export async function launchBrowser(): Promise<{ browser: Browser; reason: null } | { browser: null; reason: string }> {
  const installed = (process.env["PATH"] ?? "").split(delimiter).flatMap((directory) => NAMES.map((name) => join(directory, name)));
  const path = process.env["UNSEEN_TEST_BROWSER"] ?? installed.find((file) => existsSync(file));
  try {
    if (path) return { browser: await chromium.launch({ executablePath: path, args: ARGUMENTS }), reason: null };
    return { browser: await launchBundled(), reason: null };
  } catch (error) {
    return {
      browser: null,
      reason: `no browser: ${(error as Error).message.split("\n")[0]}. Install chromium, or name one in UNSEEN_TEST_BROWSER.`,
    };
  }
}

/** A build of Chromium for x86-64 Linux that brings its libraries along. */
async function launchBundled(): Promise<Browser> {
  const directory = await unpackBundled();
  return chromium.launch({
    executablePath: join(directory, "chromium"),
    // Not the flags that it recommends: they keep all in one process, which ends with the first page that is closed.
    args: ARGUMENTS,
    env: { ...process.env, LD_LIBRARY_PATH: join(directory, "al2023/lib"), FONTCONFIG_PATH: join(directory, "fonts") } as Record<
      string,
      string
    >,
  });
}

/** Unpacks it once for all test files, which run side by side: whoever is first puts the whole directory in place. */
async function unpackBundled(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.resolve("@sparticuz/chromium")), "utf8")) as {
    version: string;
  };
  const directory = join(tmpdir(), `unseen-test-chromium-${version}`);
  if (existsSync(directory)) return directory;
  const fresh = await mkdtemp(join(tmpdir(), "unseen-test-chromium-"));
  const program = `
    import chromium, { inflate } from "@sparticuz/chromium";
    import { fileURLToPath } from "node:url";
    const packed = fileURLToPath(new URL("../bin/", import.meta.resolve("@sparticuz/chromium")));
    await chromium.executablePath();
    for (const name of ["al2023.tar.br", "fonts.tar.br"]) await inflate(packed + name);`;
  await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { ...process.env, TMPDIR: fresh },
  });
  await rename(fresh, directory).catch(async (error: NodeJS.ErrnoException) => {
    await rm(fresh, { recursive: true, force: true });
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
  return directory;
}

/** What a page did that it must not. */
export interface Watched {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions, violations of the content security policy, requests to elsewhere. */
  readonly complaints: string[];
}

/** Sizes of screens that every page must fit. */
export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };

/** Opens an address in a fresh profile. `expected` are complaints that the test itself causes. */
export async function openPage(
  browser: Browser,
  address: string,
  options: BrowserContextOptions & { expected?: RegExp } = {},
): Promise<Watched> {
  const { expected, ...rest } = options;
  const context = await browser.newContext({ viewport: DESKTOP, permissions: ["clipboard-read", "clipboard-write"], ...rest });
  const page = await context.newPage();
  const complaints: string[] = [];
  const complain = (text: string): void => void (expected?.test(text) || complaints.push(text));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complain(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complain(`exception: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.protocol !== "data:" && url.origin !== new URL(address).origin)
      complain(`request to ${url.origin}`);
  });
  await page.goto(address);
  return { page, complaints };
}

/** Keeps a picture of the page as `artifacts/web/NAME.png`. */
export async function keepScreenshot(page: Page, name: string, fullPage = true): Promise<void> {
  await mkdir(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage, animations: "disabled" });
}
