import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { RequestListener } from "node:http";
import { after, before, describe, test } from "node:test";
import { limits } from "../protocol.ts";
import { startHubWithAccounts, type HubWithAccounts } from "./accounts.fixture.ts";
import { blobName, downloadBlob, uploadBlob } from "./blobs.ts";
import { startFalseHub } from "./false-hub.fixture.ts";
import { HubClient } from "./hub-client.ts";

let hub: HubWithAccounts;
let client: HubClient;

before(async () => {
  hub = await startHubWithAccounts();
  client = hub.user;
});
after(() => hub.stop());

describe("a blob", () => {
  test("of more than one part comes back as it went, with its progress", async () => {
    const bytes = randomBytes(2 * limits.chunkBytes + 5);
    const sent: number[] = [];
    const name = await uploadBlob(client, bytes, (done, total) => sent.push(done / total));
    assert.equal(name, blobName(bytes));
    assert.deepEqual(sent, [0, limits.chunkBytes / bytes.length, (2 * limits.chunkBytes) / bytes.length, 1]);
    const received: number[] = [];
    assert.ok(bytes.equals(await downloadBlob(client, name, { progress: (done, total) => received.push(done / total) })));
    assert.deepEqual(received, sent.slice(1));
  });

  test("that the hub has is not sent again", async () => {
    const bytes = randomBytes(100);
    await uploadBlob(client, bytes);
    const progress: number[] = [];
    await uploadBlob(client, bytes, (done) => progress.push(done));
    assert.deepEqual(progress, [100]);
  });

  test("of which the hub has a part goes on there", async () => {
    const bytes = randomBytes(1000);
    const path = `/v1/blobs/${blobName(bytes)}?length=1000`;
    await client.send("PATCH", path, { bytes: bytes.subarray(0, 300), headers: { "upload-offset": "0" } });
    const progress: number[] = [];
    await uploadBlob(client, bytes, (done) => progress.push(done));
    assert.deepEqual(progress, [300, 1000]);
    assert.ok(bytes.equals(await downloadBlob(client, blobName(bytes))));
  });

  test("may be sent twice at once", async () => {
    const bytes = randomBytes(limits.chunkBytes + 1);
    assert.deepEqual(await Promise.all([uploadBlob(client, bytes), uploadBlob(client, bytes)]), [blobName(bytes), blobName(bytes)]);
    assert.ok(bytes.equals(await downloadBlob(client, blobName(bytes))));
  });

  test("that the hub does not have, or that is too large, is not downloaded", async () => {
    await assert.rejects(downloadBlob(client, "0".repeat(64)), { code: "DOWNLOAD_FAILED" });
    const name = await uploadBlob(client, randomBytes(100));
    await assert.rejects(downloadBlob(client, name, { maximum: 99 }), { code: "HUB_REFUSED" });
    assert.equal((await downloadBlob(client, name, { maximum: 100 })).length, 100);
  });
});

describe("a hub that lies", () => {
  const bytes = randomBytes(100);
  const name = blobName(bytes);
  const against = async (listener: RequestListener, work: (client: HubClient) => Promise<unknown>): Promise<unknown> => {
    const falseHub = await startFalseHub(listener);
    return work(new HubClient(falseHub.url, null, 0)).finally(() => falseHub.stop());
  };
  const download = (falseClient: HubClient): Promise<Uint8Array> => downloadBlob(falseClient, name);
  const part =
    (range: string, body: Uint8Array): RequestListener =>
    (_request, response) =>
      response.writeHead(206, { "content-range": range }).end(body);

  test("about a blob's bytes is not believed", async () => {
    await against((_request, response) => response.end(bytes), download); // control: a hub that knows no ranges
    for (const listener of [
      ((_request, response) => response.end(randomBytes(100))) satisfies RequestListener,
      part("bytes 0-99/100", randomBytes(100)),
      part("bytes 1-99/100", bytes.subarray(1)),
      part("bytes 0-99/99", bytes),
      part("bytes 0-99/999999999999", bytes),
      part("nonsense", bytes),
      part("bytes 0-0/100", new Uint8Array(0)), // again and again
    ])
      await assert.rejects(against(listener, download), { code: "HUB_REFUSED" });
  });

  test("about an upload is not believed", async () => {
    for (const offset of ["101", "-1", "1.5", "", "many"])
      await assert.rejects(
        against(
          (_request, response) => response.writeHead(200, { "upload-offset": offset }).end(),
          (falseClient) => uploadBlob(falseClient, bytes),
        ),
        { code: "HUB_REFUSED" },
        offset,
      );
  });

  test("and says again and again that another is faster is left", async () => {
    await assert.rejects(
      against(
        (request, response) => response.writeHead(request.method === "HEAD" ? 404 : 409).end(),
        (falseClient) => uploadBlob(falseClient, bytes),
      ),
      { code: "CONFLICT" },
    );
  });
});

test("a download goes on in the part that broke", async () => {
  const bytes = randomBytes(2 * limits.chunkBytes);
  const ranges: (string | undefined)[] = [];
  const falseHub = await startFalseHub((request, response) => {
    ranges.push(request.headers.range);
    const [, first = 0, last = 0] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")?.map(Number) ?? [];
    const part = bytes.subarray(first, last + 1);
    response.writeHead(206, { "content-range": `bytes ${first}-${last}/${bytes.length}`, "content-length": part.length });
    if (ranges.length === 2) response.write(part.subarray(0, 1000), () => response.destroy());
    else response.end(part);
  });
  const got = await downloadBlob(new HubClient(falseHub.url, null), blobName(bytes)).finally(() => falseHub.stop());
  assert.ok(bytes.equals(got));
  assert.equal(ranges.length, 3);
  assert.equal(ranges[1], ranges[2]);
});
