/**
 * One conversation as Markdown: the path that is shown, in clear.
 * @module
 */
import type { ArchivedConversation, ArchivedMessage } from "../../../../src/protocol/conversations.ts";

/** Title, system prompt, then every message of the current path under who said it. */
export function toMarkdown({ title, settings, messages, current }: ArchivedConversation): string {
  const parts = [`# ${title.replaceAll(/\s+/g, " ")}`];
  if (settings.system !== "") parts.push("## System", settings.system);
  for (const { role, model, content, state } of pathTo(messages, current)) {
    parts.push(`## ${role === "user" ? "You" : (model ?? "Model")}`, content);
    if (role === "assistant" && state !== "complete") parts.push(`*(${state})*`);
  }
  return `${parts.join("\n\n")}\n`;
}

function pathTo(messages: readonly ArchivedMessage[], leaf: string | null): readonly ArchivedMessage[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const path: ArchivedMessage[] = [];
  // At most all of them: a circle would be a defect, and must not hang the page.
  for (let id = leaf; id !== null && path.length < messages.length;) {
    const message = byId.get(id);
    if (!message) break;
    path.push(message);
    id = message.parent;
  }
  return path.toReversed();
}
