/**
 * A process that writes into a conversation until it is killed, and says what is on the disk: `node writer.fixture.ts DIRECTORY`.
 * @module
 */
import { writeSync } from "node:fs";
import { SECRET, message } from "./conversations.fixture.ts";
import { ConversationStore } from "./store.ts";

const store = await ConversationStore.open({ directory: process.argv[2]!, secret: SECRET });
const { id } = await store.create({ title: "written until killed" });
let parent: string | null = null;
for (let number = 0; ; number += 1) {
  const name = `${id}-${number}`;
  const content = "x".repeat((number * 7919) % 20_000);
  await store.with(id, (file) =>
    store.append(file, [
      { kind: "message", message: message(name.slice(-40), parent, content) },
      // Enough replaced titles that the file is written anew now and then.
      {
        kind: "head",
        head: {
          ...file.tree.head,
          title: `title ${number} ${"y".repeat(150)}`,
          settings: { ...file.tree.head.settings, system: "z".repeat(9000) },
        },
      },
      { kind: "current", id: name.slice(-40) },
    ]),
  );
  parent = name.slice(-40);
  writeSync(1, `${id} ${number}\n`);
}
