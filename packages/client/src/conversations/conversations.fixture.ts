/**
 * Temporary homes and conversations for tests.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { resolveHome, type Home } from "../home.ts";
import type { Head, StoredMessage } from "./message.ts";

/** A directory that is deleted after the tests. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "unseen-conversations-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A home in a directory of its own. */
export function temporaryHome(): Home {
  return resolveHome({ UNSEEN_HOME: temporaryDirectory() });
}

export const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);

export const HEAD: Head = {
  title: "A title",
  folder: null,
  created: "2026-01-01T00:00:00.000Z",
  updated: "2026-01-01T00:00:00.000Z",
  settings: { model: null, system: "", sampling: {} },
};

/** A message that is whole. */
export function message(id: string, parent: string | null, content: string, changes: Partial<StoredMessage> = {}): StoredMessage {
  return {
    id,
    parent,
    role: "user",
    content,
    reasoning: "",
    created: "2026-01-02T00:00:00.000Z",
    state: "complete",
    model: null,
    failure: null,
    usage: null,
    cut: false,
    wire: null,
    ...changes,
  };
}
