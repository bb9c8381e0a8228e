/**
 * The private picture: from choosing it to the answer, and what each party got of it.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import type { Page } from "playwright-core";
import { keepScreenshot, openPage, PHONE, type Watched } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { simulatorPolicy } from "./gateway.ts";
import { inBrowser, usePages } from "./session.ts";

const EXAMPLE = fileURLToPath(new URL("../../packages/unseen/models/xray-cnn/example.png", import.meta.url));

describe("the private picture", inBrowser, () => {
  const { browser, gateway } = usePages();

  async function openPictures(options: Parameters<typeof openPage>[2] = {}): Promise<Watched> {
    const watched = await openPage(browser, gateway.address, options);
    await watched.page.getByRole("navigation", { name: "Pages" }).waitFor();
    await watched.page.goto(`${gateway.origin}/pictures`);
    await watched.page.getByRole("heading", { name: "Private picture" }).waitFor();
    return watched;
  }

  test("the sliders say what a cut costs here and what it gives away, and claim no figure that was not measured", async () => {
    const { page, complaints } = await openPictures();
    const cost = page.getByRole("group", { name: "What it costs here" });
    await cost.getByText("Conv 3x3 1->16").waitFor({ timeout: 30_000 });
    const leak = page.getByRole("region", { name: "What the creator can read", exact: true });
    await leak.getByText("Pictures come back almost as they were.").waitFor();
    const before = await leak.getByText(/dB, SSIM/).textContent();
    await page.getByRole("slider", { name: /^Cut/ }).fill("3");
    await cost.getByText("Conv 3x3 16->32").waitFor();
    await cost.getByText(/of keys/).waitFor();
    assert.notEqual(await leak.getByText(/dB, SSIM/).textContent(), before);
    assert.equal(await leak.getByText("This very setting was not measured.").count(), 0);
    await page.getByRole("slider", { name: /^Noise/ }).focus();
    await page.keyboard.press("End");
    await leak.getByText("This very setting was not measured.").waitFor();
    await leak.getByText(/The nearest that was: noise of 0.4 of the range/).waitFor();
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a file that is no picture is refused with one line, and nothing is sent", async () => {
    const { page, complaints } = await openPictures();
    const send = page.getByRole("button", { name: "Send it through" });
    assert.equal(await send.isDisabled(), true);
    await page
      .getByLabel("Picture", { exact: true })
      .setInputFiles({ name: "scan.png", mimeType: "image/png", buffer: Buffer.from("<script>no</script>") });
    await page.getByRole("alert").getByText("This is no PNG, JPEG or WebP picture.").waitFor();
    const damaged = Buffer.concat([Buffer.from("\u0089PNG\r\n\u001a\n", "latin1"), Buffer.alloc(64)]);
    await page.getByLabel("Picture", { exact: true }).setInputFiles({ name: "scan.png", mimeType: "image/png", buffer: damaged });
    await page.getByRole("alert").getByText("This picture is damaged").waitFor();
    await page
      .getByLabel("Picture", { exact: true })
      .setInputFiles({ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(10_000_001) });
    await page.getByRole("alert").getByText("10.0 MB is the most").waitFor();
    assert.equal(await send.isDisabled(), true);
    await keepScreenshot(page, "pictures-refused");
    await page.getByLabel("Picture", { exact: true }).setInputFiles(EXAMPLE);
    await page.getByAltText("The picture that you chose").waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    assert.equal(await send.isEnabled(), true);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("the example goes through to its answer; hub and enclave get noise, the creator gets features, and a phone shows it all", async () => {
    const { page, complaints } = await openPictures();
    await page.getByRole("button", { name: "Use the example" }).click();
    await page.getByAltText("The picture that you chose").waitFor();
    await page.getByRole("group", { name: "What it costs here" }).getByText("Conv 3x3 1->16").waitFor({ timeout: 30_000 });
    await keepScreenshot(page, "pictures-chosen");
    await page.getByRole("button", { name: "Send it through" }).click();
    // Each party's view comes when it has got something, not at the end.
    await page.getByAltText("Your picture, as the model takes it").waitFor({ timeout: 60_000 });
    assert.equal(await page.getByRole("heading", { name: /^Answer/ }).count(), 0);
    await page.reload();
    await page.getByAltText("Your picture, as the model takes it").waitFor();
    await page.getByRole("heading", { name: "Answer: normal" }).waitFor({ timeout: 60_000 });
    await page.getByText("normal, the same", { exact: true }).waitFor();
    await page.getByText("This is not a medical device").waitFor();
    await page
      .getByRole("region", { name: /^Answer/ })
      .getByText("pneumonia", { exact: true })
      .waitFor();

    const views = await Promise.all(["You", "Hub", "Enclave", "Creator"].map((party) => viewOf(page, party)));
    const [you, hub, enclave, creator] = views.map(({ entropy, likeness }) => ({ entropy, likeness })) as [Look, Look, Look, Look];
    assert.equal(new Set(views.map(({ source }) => source)).size, 4, "the four views differ");
    assert.ok(hub.entropy > 7.99 && Math.abs(hub.likeness) < 0.02, `the hub got ${JSON.stringify(hub)}`);
    assert.ok(enclave.entropy > 6 && Math.abs(enclave.likeness) < 0.02, `the enclave got ${JSON.stringify(enclave)}`);
    assert.ok(you.likeness > 0.5, `the picture is ${JSON.stringify(you)}`);
    assert.ok(creator.likeness > 0.1, `the creator got ${JSON.stringify(creator)}`);

    await page.getByRole("article", { name: "Enclave" }).getByText("Simulator: proves nothing").waitFor();
    await page
      .getByRole("article", { name: "Creator" })
      .getByText(/Measured: [\d.]+ dB/)
      .waitFor();
    const rows = page.getByRole("table", { name: "Stages" }).getByRole("row");
    assert.ok((await rows.count()) >= 12, "stages with their times");
    for (const [name, viewport] of [
      ["desktop", null],
      ["phone", PHONE],
    ] as const) {
      if (viewport) await page.setViewportSize(viewport);
      await keepScreenshot(page, `pictures-answer-${name}`);
      assert.deepEqual(await overflowing(page), [], name);
      assert.deepEqual(await accessibilityProblems(page), [], name);
    }
    await page.getByRole("button", { name: "Again with other settings" }).click();
    await page.getByRole("heading", { name: "1. Model and cut" }).waitFor();
    await keepScreenshot(page, "pictures-phone");
    assert.deepEqual(complaints, []);
    assert.doesNotMatch(gateway.output(), /iVBOR/, "no picture in the log");
    await page.context().close();
  });

  test("a run is stopped in the middle, and one can go again", async () => {
    const { page, complaints } = await openPictures();
    await page.getByRole("button", { name: "Use the example" }).click();
    await page.getByRole("slider", { name: /^Cut/ }).fill("3");
    await page.getByRole("button", { name: "Send it through" }).click();
    const way = page.getByRole("region", { name: "The way of your picture" });
    await way.locator("tr[data-state=done]").filter({ hasText: "Start hub" }).waitFor({ timeout: 60_000 });
    await way.getByRole("button", { name: "Stop" }).click();
    await way.getByText("stopped", { exact: true }).waitFor({ timeout: 20_000 });
    assert.equal(await page.getByRole("heading", { name: /^Answer/ }).count(), 0);
    await page.getByRole("article", { name: "Creator" }).getByText("It got nothing.").waitFor();
    await keepScreenshot(page, "pictures-stopped");
    await page.getByRole("button", { name: "Again with other settings" }).click();
    await page.getByRole("slider", { name: "Cut: after layer 3" }).waitFor();
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a policy that is none is refused, and a server that is no hub is a failure with what to do", async () => {
    const { page, complaints } = await openPictures({ expected: /status of 4/ });
    await page.getByRole("button", { name: "Use the example" }).click();
    await page.getByLabel("Model", { exact: true }).selectOption({ label: "A model on a hub" });
    await page.getByLabel("Hub's address").fill(gateway.hostUrl);
    await page.getByLabel("Your API key").fill("secret-of-the-hub");
    await page.getByLabel("Name of the model").fill("xray");
    await page.getByLabel("Attestation policy").fill("not JSON");
    await page.getByLabel("Name of the model").press("Enter");
    await page.getByRole("alert").filter({ hasText: "policy" }).waitFor();
    await keepScreenshot(page, "pictures-hub");
    assert.deepEqual(await accessibilityProblems(page), []);
    const policy = await simulatorPolicy(join(gateway.home, "simulator"));
    await page.getByLabel("Attestation policy").fill(JSON.stringify(policy));
    await page.getByRole("button", { name: "Send it through" }).click();
    const way = page.getByRole("region", { name: "The way of your picture" });
    await way.getByText("failed", { exact: true }).waitFor({ timeout: 60_000 });
    await way.getByRole("alert").filter({ hasText: "hub" }).waitFor();
    assert.doesNotMatch((await page.textContent("body"))!, /secret-of-the-hub/);
    assert.doesNotMatch(gateway.output(), /secret-of-the-hub/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a setting is measured on this machine, and its figures are kept apart from those for X-rays", async () => {
    const { page, complaints } = await openPictures();
    await page.getByRole("slider", { name: /^Bits/ }).fill("7");
    const leak = page.getByRole("region", { name: "What the creator can read", exact: true });
    await leak.getByText("This very setting was not measured.").waitFor();
    await leak.getByRole("button", { name: "Measure this setting here" }).click();
    const run = page.getByRole("region", { name: "Measure what the creator can read" });
    await run.getByText("done", { exact: true }).waitFor({ timeout: 60_000 });
    await run.getByText(/7 bits\. A quick attacker on drawn pictures/).waitFor();
    await run
      .getByText(/[\d.]+ dB, SSIM/)
      .first()
      .waitFor();
    await run.getByAltText(/what was rebuilt/).waitFor();
    await keepScreenshot(page, "pictures-measured");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});

/** How random a picture looks. */
interface Look {
  /** Bits of a pixel, of 8. */
  readonly entropy: number;
  /** Correlation of a pixel with the one below, -1..1, column means removed. */
  readonly likeness: number;
}

async function viewOf(page: Page, party: string): Promise<Look & { source: string }> {
  const source = (await page.getByRole("article", { name: party }).getByRole("img").getAttribute("src")) ?? "";
  const png = Buffer.from(source.replace(/^data:image\/png;base64,/, ""), "base64");
  const { data, info } = await sharp(png).greyscale().raw().toBuffer({ resolveWithObject: true });
  const counts = new Float64Array(256);
  for (const value of data) counts[value]! += 1;
  const entropy = counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / data.length) * Math.log2(count / data.length)), 0);
  const { width, height } = info;
  // A ciphertext's numbers fill their bytes unevenly, which makes stripes; what differs along a column is left.
  const means = Array.from({ length: width }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < height; row += 1) sum += data[row * width + column]!;
    return sum / height;
  });
  // Enlarged pictures repeat their pixels: neighbours are so far apart.
  const step = Math.round(height / 28);
  const pairs: [number, number][] = [];
  for (let index = 0; index + step * width < data.length; index += 1) {
    const mean = means[index % width]!;
    pairs.push([data[index]! - mean, data[index + step * width]! - mean]);
  }
  return { source, entropy, likeness: correlation(pairs) };
}

function correlation(pairs: readonly (readonly [number, number])[]): number {
  const mean = (of: (pair: readonly [number, number]) => number): number => pairs.reduce((sum, pair) => sum + of(pair), 0) / pairs.length;
  const [left, right] = [mean(([one]) => one), mean(([, other]) => other)];
  const spread = (of: (pair: readonly [number, number]) => number): number => Math.sqrt(mean(of));
  return (
    mean(([one, other]) => (one - left) * (other - right)) /
    (spread(([one]) => (one - left) ** 2) * spread(([, other]) => (other - right) ** 2) || 1)
  );
}
