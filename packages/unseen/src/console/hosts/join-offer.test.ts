import assert from "node:assert/strict";
import { after, test } from "node:test";
import { toyClassifier, ToyHost, toyOn, FINGERPRINT } from "@unseen/client/encoders/toy-host.fixture.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { openHost } from "../../models.ts";
import { joinOffered, leaveOffer, renamed } from "./join-offer.ts";

const toy = toyClassifier(["no", "yes"]);
const hosts: ToyHost[] = [];
after(() => Promise.all(hosts.map((host) => host.close())));

async function start(): Promise<ToyHost> {
  const host = await ToyHost.start(toy);
  hosts.push(host);
  return host;
}

const hostAt = ({ url }: ToyHost) => openHost(url, { note: () => assert.fail("nothing is to be said") });

test("an encoder takes hosts in and lets them go, and needs its key no more", async () => {
  const [first, second] = [await start(), await start()];
  const offer = new Offer([toyOn(toy, [first])]);
  const classify = async (): Promise<string> => {
    const [model] = offer.models;
    assert.ok(model && "encoder" in model);
    const { results } = await model.encoder.classify(["a fine film"], { signal: AbortSignal.timeout(5000) });
    return JSON.stringify(results);
  };
  const before = await classify();
  const [engine] = joinOffered(offer, FINGERPRINT, hostAt(second))!;
  assert.deepEqual(joinOffered(offer, FINGERPRINT, hostAt(second)), [], "once is enough");
  assert.equal(joinOffered(offer, "0".repeat(32), hostAt(second)), null);
  assert.deepEqual(
    offer.models.map(({ id, engines }) => [id, engines.map(({ url }) => url)]),
    [["toy", [first.url, second.url]]],
  );
  first.misbehave = () => "die";
  assert.equal(await classify(), before);
  assert.equal(second.received.length, 1);

  first.misbehave = () => null;
  leaveOffer(offer, new Set([engine!]));
  assert.deepEqual(
    offer.models[0]!.engines.map(({ url }) => url),
    [first.url],
  );
  assert.equal(await classify(), before);
  leaveOffer(offer, new Set(offer.models[0]!.engines));
  assert.deepEqual(offer.models, []);
});

test("under another name a model still knows what its hosts take", async () => {
  const host = await start();
  const model = new Offer([renamed(toyOn(toy, [host]), "toy@elsewhere")]).models[0]!;
  assert.ok("encoder" in model && model.id === "toy@elsewhere");
  assert.equal(model.contextLength, model.encoder.maximumLength);
  await model.encoder.connect();
  assert.equal(model.contextLength, Math.min(32, 64));
});
