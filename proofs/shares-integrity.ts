/**
 * Servers that flip one bit of one number.
 * @module
 */
import { flipBits } from "@unseen/shares/client/bit-flips.fixture.ts";
import { startModelServer } from "@unseen/shares/client/model-server.fixture.ts";
import { randomModel } from "@unseen/shares/client/share-model.fixture.ts";
import type { Finding } from "./proof.ts";

const TRIALS = 10_000;

export async function* integrityFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const model = randomModel("proof", 1, [
    { in: 96, out: [64, 32, 32] },
    { in: 64, out: [200] },
  ]);
  const servers = [await startModelServer(model), await startModelServer(model)] as const;
  try {
    note(`${TRIALS} trials`);
    const { trials, caught, named } = await flipBits(model, servers[0].url, servers[1].url, TRIALS, new Uint8Array(32).fill(5));
    yield {
      claim: `${TRIALS} trials: a server flips one bit of one number of its answer`,
      figure: `${caught} of ${trials} caught, ${named} of ${trials} with the right server named`,
      bar: "all",
      holds: trials === TRIALS && caught === trials && named === trials,
    };
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}
