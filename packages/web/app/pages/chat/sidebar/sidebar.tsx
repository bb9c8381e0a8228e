/**
 * All conversations: searched, in folders, brought in and taken out.
 * @module
 */
import { useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf } from "../../../api/console.ts";
import { announce } from "../../../parts/announcer.tsx";
import { Button, IconButton } from "../../../parts/button.tsx";
import { count } from "../../../parts/numbers.ts";
import { FailureNotice } from "../../../parts/notice.tsx";
import { saveFile } from "../../../parts/save-file.ts";
import { navigate } from "../../../router.ts";
import { conversationList, exportConversations, importConversations } from "../data/conversation-list.ts";
import { KeepingDialog } from "../dialogs/keeping-dialog.tsx";
import { ConversationRows } from "./conversation-rows.tsx";
import { SearchResults } from "./search-results.tsx";
import style from "./sidebar.module.css";

export function Sidebar({
  current,
  search,
  onChosen,
}: {
  /** Id of the open conversation. */
  readonly current: string | null;
  readonly search: RefObject<HTMLInputElement | null>;
  /** Called when a person went somewhere. */
  readonly onChosen: () => void;
}): JSX.Element {
  const list = conversationList.value;
  const words = useSignal("");
  const keeping = useSignal(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setFailure(null);
    await work().catch((error: unknown) => setFailure(failureOf(error)));
  };
  const bringIn = (chosen: File): Promise<void> =>
    attempt(async () => {
      const { conversations, messages } = await importConversations(chosen);
      announce(`Imported ${count(conversations, "conversation")} with ${count(messages, "message")}.`);
    });
  const takeOut = (): Promise<void> =>
    attempt(async () => saveFile(await exportConversations(), `conversations-${new Date().toISOString().slice(0, 10)}.json`));
  return (
    <div class={style["sidebar"]}>
      <div class={style["top"]}>
        <Button
          icon="add"
          onClick={() => {
            navigate("/chat");
            onChosen();
          }}
        >
          New chat
        </Button>
        <input
          ref={search}
          class="text"
          type="search"
          placeholder="Search conversations"
          aria-label="Search conversations"
          value={words}
          onInput={(event) => (words.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || words.value === "") return;
            // It stops no answer.
            event.preventDefault();
            words.value = "";
          }}
        />
        <FailureNotice failure={failure} />
      </div>
      <div class={style["list"]}>
        {words.value.trim() !== "" ? (
          <SearchResults words={words.value.trim()} onChosen={onChosen} />
        ) : (
          list && <ConversationRows list={list} current={current} onChosen={onChosen} />
        )}
      </div>
      <div class={style["tools"]}>
        <IconButton label="Import conversations from a file" icon="upload" tiny onClick={() => file.current?.click()} />
        <IconButton
          label="Export all conversations"
          icon="download"
          tiny
          disabled={!list || list.conversations.length === 0}
          onClick={() => void takeOut()}
        />
        <Button kind="plain" tiny icon="lock" onClick={() => (keeping.value = true)}>
          How they are kept
        </Button>
        <input
          ref={file}
          hidden
          type="file"
          accept=".json,application/json"
          aria-label="File to import"
          onChange={(event) => {
            const [chosen] = event.currentTarget.files ?? [];
            if (chosen) void bringIn(chosen);
            // The same file may be chosen again.
            event.currentTarget.value = "";
          }}
        />
      </div>
      {keeping.value && <KeepingDialog onClose={() => (keeping.value = false)} />}
    </div>
  );
}
