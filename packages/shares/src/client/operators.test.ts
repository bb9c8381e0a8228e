import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { UnseenError } from "@unseen/core/errors.ts";
import { isReadable, refuseOneMachine, serverUrl } from "./operators.ts";

describe("one machine in both roles", () => {
  const addresses: Record<string, string[]> = {
    "a.example": ["192.0.2.1", "192.0.2.2"],
    "b.example": ["192.0.2.2"],
    "c.example": ["192.0.2.3"],
    "mapped.example": ["::ffff:c000:203"],
    "here.example": ["127.0.0.5"],
  };
  const resolve = async (name: string): Promise<string[]> =>
    addresses[name] ?? (name.includes("nowhere") ? Promise.reject(new Error("no")) : [name]);
  const refused = (a: string, b: string): Promise<boolean> =>
    refuseOneMachine(serverUrl(a), serverUrl(b), resolve).then(
      () => false,
      (error: UnseenError) => error.code === "USAGE" || assert.fail(error),
    );

  test("is refused: by name, by address, and on this machine", async () => {
    for (const [a, b, same] of [
      ["https://a.example", "https://a.example:8443", true],
      ["https://a.example", "https://A.EXAMPLE.", true],
      ["https://a.example", "https://b.example", true],
      ["https://a.example", "https://c.example", false],
      ["https://c.example", "https://mapped.example", true],
      ["http://127.0.0.1:1", "http://[::1]:2", true],
      ["http://127.0.0.1:1", "http://here.example", true],
      ["http://127.0.0.1:1", "https://c.example", false],
    ] as const)
      assert.equal(await refused(a, b), same, `${a} ${b}`);
    await assert.rejects(refuseOneMachine(serverUrl("https://nowhere.example"), serverUrl("https://a.example"), resolve), {
      code: "HOST_UNREACHABLE",
    });
  });

  test("only http to another machine can be read on the way", () => {
    const readable = (url: string): boolean => isReadable(serverUrl(url));
    assert.ok(readable("http://a.example") && readable("http://192.0.2.1:80"));
    for (const url of ["https://a.example", "http://localhost:1", "http://127.0.0.1", "http://[::1]:3"]) assert.ok(!readable(url), url);
  });
});
