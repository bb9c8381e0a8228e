/**
 * What was typed and not sent yet, per conversation.
 *
 * It survives loading the page again, in the storage of this tab. Not in that of the browser: there it would stay readable after the
 * conversations were locked, the tab was closed or the conversation was deleted.
 * @module
 */
import { signal, type Signal } from "@preact/signals";

export interface Draft {
  readonly text: string;
  /** Long texts that were pasted; they stand for themselves, since no field could show them without freezing. */
  readonly attached: readonly string[];
}

export const EMPTY_DRAFT: Draft = { text: "", attached: [] };

const PREFIX = "unseen-draft:";
const DELAY = 400; // ms

const drafts = new Map<string, Signal<Draft>>();
const timers = new Map<string, ReturnType<typeof setTimeout>>();

/** The draft of a conversation; of a new one, without an id. */
export function draftOf(id: string | null): Signal<Draft> {
  const name = id ?? "";
  let draft = drafts.get(name);
  if (!draft) {
    draft = signal(stored(name));
    drafts.set(name, draft);
  }
  return draft;
}

/** Changes a draft, and keeps it a moment later. */
export function changeDraft(id: string | null, draft: Draft): void {
  const name = id ?? "";
  draftOf(id).value = draft;
  clearTimeout(timers.get(name));
  if (isEmpty(draft)) sessionStorage.removeItem(PREFIX + name);
  else
    timers.set(
      name,
      setTimeout(() => keep(name, draft), DELAY),
    );
}

/** Forgets it, once it was sent. */
export function clearDraft(id: string | null): void {
  changeDraft(id, EMPTY_DRAFT);
}

/** Forgets all, when the conversations are locked. */
export function clearAllDrafts(): void {
  for (const timer of timers.values()) clearTimeout(timer);
  for (const draft of drafts.values()) draft.value = EMPTY_DRAFT;
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
}

/** Everything that is to be said. */
export function contentOf({ text, attached }: Draft): string {
  return [text.trim(), ...attached].filter(Boolean).join("\n\n");
}

export function isEmpty({ text, attached }: Draft): boolean {
  return text.trim() === "" && attached.length === 0;
}

function keep(name: string, draft: Draft): void {
  try {
    sessionStorage.setItem(PREFIX + name, JSON.stringify(draft));
  } catch {
    // Too long for the browser's storage: it lasts as long as the page.
    sessionStorage.removeItem(PREFIX + name);
  }
}

function stored(name: string): Draft {
  try {
    const { text, attached } = JSON.parse(sessionStorage.getItem(PREFIX + name) ?? "null") as Draft;
    return { text: String(text), attached: attached.map(String) };
  } catch {
    return EMPTY_DRAFT;
  }
}

// What was typed just before the page is left is kept as well.
addEventListener("pagehide", () => {
  for (const [name, draft] of drafts) if (!isEmpty(draft.value)) keep(name, draft.value);
});
