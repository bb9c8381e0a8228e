/**
 * The same way through a hub whose state lies on a PostgreSQL server, and through a hub that is killed there.
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { needsPostgres, startPostgres } from "@unseen/hub/server/hub.fixture.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import { startParties, type Parties } from "./parties.ts";

describe("on a PostgreSQL server", needsPostgres, () => {
  let database: Awaited<ReturnType<typeof startPostgres>>;
  let parties: Parties;

  before(async () => {
    database = await startPostgres();
    parties = await startParties({ databaseUrl: database.url });
  });

  after(async () => {
    await parties?.stop();
    await database?.stop();
  });

  test("a picture is classified, also where the hub is killed on its way", async () => {
    const picture = drawPictures({ channels: 1, height: 28, width: 28 }, { train: 1, test: 1, seed: 7 }).test.bytes.slice(0, 784);
    const decisions: number[] = [];
    for (const stage of [null, "evaluate on ciphertext"]) {
      let restarted = Promise.resolve();
      let begun = false;
      const session = await parties.openSession({
        cut: 2,
        progress(name) {
          if (name !== stage || begun) return;
          begun = true;
          restarted = parties.kill("hub").then(() => parties.restart("hub"));
        },
      });
      decisions.push((await session.run(picture)).decision);
      await restarted;
      session.close();
      assert.equal(begun, stage !== null);
    }
    assert.equal(decisions[0], decisions[1]);
  });
});
