/**
 * One conversation as Markdown.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchivedConversation, ArchivedMessage } from "../../../../src/protocol/conversations.ts";
import { fileName } from "./file-name.ts";
import { toMarkdown } from "./markdown-export.ts";

const message = (id: string, parent: string | null, role: "user" | "assistant", content: string): ArchivedMessage => ({
  id,
  parent,
  role,
  content,
  reasoning: "",
  created: "2026-01-01T00:00:00.000Z",
  state: id === "d" ? "stopped" : "complete",
  model: role === "user" ? null : "a-model",
  failure: null,
  usage: null,
});

const conversation = (messages: ArchivedMessage[], current: string | null): ArchivedConversation => ({
  id: "1",
  title: "A\ntitle",
  folder: null,
  created: "2026-01-01T00:00:00.000Z",
  updated: "2026-01-01T00:00:00.000Z",
  settings: { model: null, system: "Be brief.", sampling: {} },
  messages,
  current,
});

test("the shown path alone is written, with who said it", () => {
  const messages = [message("a", null, "user", "Hello?"), message("b", "a", "assistant", "other"), message("d", "a", "assistant", "Hel")];
  assert.equal(
    toMarkdown(conversation(messages, "d")),
    "# A title\n\n## System\n\nBe brief.\n\n## You\n\nHello?\n\n## a-model\n\nHel\n\n*(stopped)*\n",
  );
  assert.equal(toMarkdown(conversation([], null)), "# A title\n\n## System\n\nBe brief.\n");
});

test("a circle of messages ends", () => {
  const messages = [message("a", "b", "user", "x"), message("b", "a", "assistant", "y")];
  assert.match(toMarkdown(conversation(messages, "b")), /## You/);
});

test("a title becomes the name of a file that is nothing but a name", () => {
  assert.equal(fileName("../../etc/passwd; rm -rf *", "md"), "etc-passwd-rm-rf.md");
  assert.equal(fileName("Ein schöner Tag", "json"), "Ein-schöner-Tag.json");
  assert.equal(fileName("???", "json"), "conversation.json");
});
