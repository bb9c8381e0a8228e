/**
 * Keys and hosts on the models page: passphrases, a key as a file, hosts that are down or go down.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { resolveHome } from "@unseen/client/home.ts";
import { importKey } from "@unseen/client/keyring.ts";
import { startServer, temporaryDirectory } from "../command-line.ts";
import { startRecordingProxy } from "../recording-proxy.ts";
import { keepScreenshot } from "./browser.ts";
import { simulatorPolicy } from "./gateway.ts";
import { openModels, REFUSED, serveHere } from "./models-page.ts";
import { inBrowser, usePages } from "./session.ts";

const PASSPHRASE = "seven lamps over the harbour";

describe("keys and hosts on the models page", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("keys are made, with a passphrase and without, and one is saved as a file that opens elsewhere", async () => {
    const { page, complaints } = await openModels(browser, gateway, "/models/keys");
    await page.getByRole("heading", { level: 3, name: "default" }).waitFor();
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("default");
    // The whole form with the keyboard: Enter sends it.
    await page.keyboard.press("Enter");
    await page.getByText("There is a key of that name.").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("work");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 3, name: "work" }).waitFor();
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("sealed");
    await page.getByLabel("Seal it with a passphrase.").check();
    await page.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
    await page.getByLabel("The same again").fill("something else");
    await page.keyboard.press("Enter");
    await page.getByText("The two are not the same.").waitFor();
    await keepScreenshot(page, "models-new-key", false);
    await page.getByLabel("The same again").fill(PASSPHRASE);
    await page.keyboard.press("Enter");
    await page.getByText("asks for a passphrase").waitFor();

    await page.getByRole("button", { name: "Export the key sealed" }).click();
    const dialog = page.getByRole("dialog", { name: "Export the key sealed" });
    await dialog.getByLabel("Passphrase of the key now").fill("wrong");
    await dialog.getByLabel("Passphrase of the file").fill("for the drawer");
    await dialog.getByLabel("The same again").fill("for the drawer");
    await dialog.getByRole("button", { name: "Export" }).click();
    await dialog
      .getByRole("alert")
      .filter({ hasText: /passphrase/i })
      .waitFor();
    await keepScreenshot(page, "models-export-key", false);
    await dialog.getByLabel("Passphrase of the key now").fill(PASSPHRASE);
    const [download] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Export" }).click()]);
    assert.equal(download.suggestedFilename(), "sealed.age");
    const elsewhere = await mkdtemp(join(tmpdir(), "unseen-web-import-"));
    try {
      const key = await importKey(resolveHome({ UNSEEN_HOME: elsewhere }), await download.path(), { passphrase: "for the drawer" });
      assert.equal(key.name, "sealed");
      assert.ok((await page.getByText(key.id).count()) > 0, "the page shows the id of the key that the file holds");
      assert.ok(!(await page.content()).includes(Buffer.from(key.secret).toString("base64")));
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
    await keepScreenshot(page, "models-keys");
    assert.deepEqual(
      complaints.filter((text) => !REFUSED.test(text)),
      [],
    );
    await page.context().close();
  });

  test("a key that asks for a passphrase is not opened by a wrong one, neither to encrypt nor to serve", async () => {
    const { page, complaints } = await openModels(browser, gateway, "/models");
    const encrypt = async (passphrase: string): Promise<void> => {
      await page.getByRole("button", { name: "Encrypt a model" }).click();
      const dialog = page.getByRole("dialog", { name: "Encrypt a model" });
      await dialog.getByLabel("Model", { exact: true }).selectOption({ label: "story-llama (llama)" });
      await dialog.getByLabel("Key", { exact: true }).selectOption("sealed");
      await dialog.getByLabel("Name", { exact: true }).fill("secret-tale");
      await dialog.getByLabel("Passphrase", { exact: true }).fill(passphrase);
      await page.keyboard.press("Enter");
      await dialog.waitFor({ state: "detached" });
    };
    const work = page.getByRole("region", { name: "Encrypt story-llama" }).first();
    await encrypt("wrong");
    await work.getByText("failed", { exact: true }).waitFor({ timeout: 20_000 });
    await work
      .getByRole("alert")
      .filter({ hasText: /passphrase/i })
      .waitFor();
    await keepScreenshot(page, "models-wrong-passphrase");
    await work.getByRole("button", { name: "Put away" }).click();
    await encrypt(PASSPHRASE);
    const card = page.getByRole("article", { name: "secret-tale" });
    await card.waitFor({ timeout: 40_000 });
    assert.doesNotMatch(await page.content(), new RegExp(PASSPHRASE));
    await serveHere(page, card, "wrong");
    await card
      .getByRole("alert")
      .filter({ hasText: /passphrase/i })
      .waitFor({ timeout: 30_000 });
    await card.getByLabel("Passphrase of its key").fill(PASSPHRASE);
    await keepScreenshot(page, "models-join-again");
    await page.keyboard.press("Enter");
    await card.getByText("offered now, EE").waitFor({ timeout: 20_000 });

    // A host that is killed is no longer offered, and the page says what happened.
    process.kill(await childOf(gateway.process.pid!, /secret-tale-unseen/), "SIGKILL");
    await card.getByText("failed", { exact: true }).waitFor({ timeout: 20_000 });
    await card.getByText("not offered").waitFor({ timeout: 20_000 });
    assert.deepEqual(
      complaints.filter((text) => !REFUSED.test(text)),
      [],
    );
    await page.context().close();
  });

  test("a host that is down is refused in one line, one that went down is shown so and removed", async () => {
    const { page, complaints } = await openModels(browser, gateway, "/models/hosts");
    await page.getByRole("article", { name: gateway.hostUrl }).getByText("up", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Add a host" }).click();
    const dialog = page.getByRole("dialog", { name: "Add a host" });
    await dialog.getByLabel("Address").fill("http://127.0.0.1:9");
    await page.keyboard.press("Enter");
    await dialog.getByRole("alert").filter({ hasText: "No host answers at http://127.0.0.1:9" }).waitFor();
    await dialog.getByText("Stock engines and enclaves").click();
    await keepScreenshot(page, "models-add-host", false);
    await dialog.getByLabel("Attestation policy").fill("{");
    await dialog.getByRole("button", { name: "Add", exact: true }).click();
    await dialog
      .getByRole("alert")
      .filter({ hasText: /policy/i })
      .waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });

    // One that goes down, added by hand: the model of the start under a second address.
    const second = await startRecordingProxy(gateway.hostUrl);
    const { url } = second;
    await page.getByRole("button", { name: "Add a host" }).click();
    await dialog.getByLabel("Address").fill(url);
    await page.keyboard.press("Enter");
    const card = page.getByRole("article", { name: url });
    await card.getByText("up", { exact: true }).waitFor();
    await card.getByText("story-llama").waitFor();
    second.close();
    // Asked again while one looks.
    await card.getByText("down", { exact: true }).waitFor({ timeout: 20_000 });
    await card.getByRole("alert").filter({ hasText: "No host answers" }).waitFor();
    await keepScreenshot(page, "models-hosts");
    await card.getByRole("button", { name: `Remove ${url}` }).click();
    await card.waitFor({ state: "detached" });
    assert.deepEqual(
      complaints.filter((text) => !REFUSED.test(text)),
      [],
    );
    await page.context().close();
  });

  test("a simulated enclave is added with its policy from a file, and called a simulator", async () => {
    const home = temporaryDirectory("web-enclave");
    const model = join(gateway.home, "models", "story-llama-unseen");
    const enclave = await startServer(["serve", model, "--port", "0", "--attest", "simulator"], { home });
    try {
      const policy = await simulatorPolicy(join(home, "simulator"));
      const file = (content: object): { name: string; mimeType: string; buffer: Buffer } => ({
        name: "policy.json",
        mimeType: "application/json",
        buffer: Buffer.from(JSON.stringify(content)),
      });
      const { page, complaints } = await openModels(browser, gateway, "/models/hosts");
      await page.getByRole("button", { name: "Add a host" }).click();
      const dialog = page.getByRole("dialog", { name: "Add a host" });
      await dialog.getByLabel("Address").fill(enclave.url);
      await dialog.getByText("Stock engines and enclaves").click();
      // Another program than the one that runs there.
      const composeHash = "0".repeat(64);
      await dialog.getByLabel("Policy from a file").setInputFiles(file({ ...policy, measurements: [{ name: "another", composeHash }] }));
      await dialog.getByRole("button", { name: "Add", exact: true }).click();
      await dialog.getByRole("alert").waitFor({ timeout: 20_000 });
      assert.match(await dialog.getByRole("alert").innerText(), /measurement|program/i);
      await dialog.getByLabel("Policy from a file").setInputFiles(file(policy));
      await page.waitForFunction((hash) => !document.querySelector("textarea")?.value.includes(hash), composeHash);
      await dialog.getByRole("button", { name: "Add", exact: true }).click();
      const card = page.getByRole("article", { name: enclave.url });
      await card.getByText("SIMULATOR", { exact: true }).waitFor({ timeout: 20_000 });
      await card.getByText("of a simulator, verified").waitFor();
      await card.getByRole("button", { name: "Copy the measurement" }).waitFor();
      await keepScreenshot(page, "models-simulator");
      await card.getByRole("button", { name: `Remove ${enclave.url}` }).click();
      await card.waitFor({ state: "detached" });
      // Where the focus goes when what had it is gone.
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1");
      assert.deepEqual(
        complaints.filter((text) => !REFUSED.test(text)),
        [],
      );
      await page.context().close();
    } finally {
      await enclave.stop();
    }
  });
});

/** The one process that another started with such a command line. */
async function childOf(parent: number, command: RegExp): Promise<number> {
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, "utf8")).trim().split(" ");
  for (const child of children) if (command.test(await readFile(`/proc/${child}/cmdline`, "utf8"))) return Number(child);
  throw new Error(`process ${parent} has no child ${command}, but ${children.length} others`);
}
