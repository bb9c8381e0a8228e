/**
 * One conversation as a whole: its title and folder, taking it out, deleting it.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationSummary } from "../../../../src/protocol/conversations.ts";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf } from "../../../api/console.ts";
import { announce } from "../../../parts/announcer.tsx";
import { Button } from "../../../parts/button.tsx";
import { Confirm, Dialog } from "../../../parts/dialog.tsx";
import { TextField } from "../../../parts/field.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { count } from "../../../parts/numbers.ts";
import { saveFile } from "../../../parts/save-file.ts";
import { navigate } from "../../../router.ts";
import { changeConversation, conversationList, deleteConversation, exportConversations, readArchive } from "../data/conversation-list.ts";
import { toMarkdown } from "../data/markdown-export.ts";
import { clearDraft } from "../data/drafts.ts";
import { fileName } from "../data/file-name.ts";

export function ConversationDialog({
  conversation,
  isOpen,
  onClose,
}: {
  readonly conversation: ConversationSummary;
  /** Whether the page shows it. */
  readonly isOpen: boolean;
  readonly onClose: () => void;
}): JSX.Element {
  const { id } = conversation;
  const [title, setTitle] = useState(conversation.title);
  const [folder, setFolder] = useState(conversation.folder ?? "");
  const [failure, setFailure] = useState<Failure | null>(null);
  const [deleting, setDeleting] = useState(false);
  const attempt = (work: () => Promise<void>): void => void work().catch((error: unknown) => setFailure(failureOf(error)));
  const save = async (): Promise<void> => {
    await changeConversation(id, { title: title.trim(), folder: folder.trim() || null });
    onClose();
  };
  const remove = async (): Promise<void> => {
    await deleteConversation(id);
    clearDraft(id);
    announce("Deleted.");
    if (isOpen) navigate("/chat", { replace: true });
  };
  const saveMarkdown = async (): Promise<void> => {
    const [archived] = (await readArchive(id)).conversations;
    if (archived) saveFile(new Blob([toMarkdown(archived)], { type: "text/markdown" }), fileName(conversation.title, "md"));
  };
  if (deleting)
    return (
      <Confirm title="Delete this conversation?" action="Delete" onConfirm={() => attempt(remove)} onClose={onClose}>
        “{conversation.title}” and its {count(conversation.messages, "message")} will be gone. This cannot be undone.
      </Confirm>
    );
  return (
    <Dialog
      title="Conversation"
      onClose={onClose}
      onSubmit={() => attempt(save)}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={title.trim() === ""}>
            Save
          </Button>
        </>
      }
    >
      <FailureNotice failure={failure} />
      <TextField name="Title" value={title} onInput={setTitle} required autofocus />
      <TextField
        name="Folder"
        value={folder}
        onInput={setFolder}
        list="chat-folders"
        hint="A new name makes a new folder. Empty: in no folder."
      />
      <datalist id="chat-folders">
        {conversationList.value?.folders.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <div class="row">
        <Button
          icon="download"
          onClick={() => attempt(async () => saveFile(await exportConversations(id), fileName(conversation.title, "json")))}
        >
          Export
        </Button>
        <Button icon="download" onClick={() => attempt(saveMarkdown)}>
          Export as Markdown
        </Button>
        <Button kind="danger" icon="trash" onClick={() => setDeleting(true)}>
          Delete
        </Button>
      </div>
      <p class="small quiet">Exported files are in clear: whoever has them can read them.</p>
    </Dialog>
  );
}
