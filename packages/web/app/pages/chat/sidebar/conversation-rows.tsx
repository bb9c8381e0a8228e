/**
 * The conversations, those in folders first.
 * @module
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationList, ConversationSummary } from "../../../../src/protocol/conversations.ts";
import { IconButton } from "../../../parts/button.tsx";
import { Icon } from "../../../parts/icons.tsx";
import { count } from "../../../parts/numbers.ts";
import { ConversationDialog } from "../dialogs/conversation-dialog.tsx";
import { FolderDialog } from "../dialogs/folder-dialog.tsx";
import style from "./sidebar.module.css";

/** Rows that are drawn before one asks for more. */
const SHOWN = 200;

/** Names of folders are content: which are closed is kept in this page alone. */
const closedFolders = signal<ReadonlySet<string>>(new Set());

interface RowsProperties {
  readonly current: string | null;
  readonly onChosen: () => void;
}

export function ConversationRows({ list, ...rest }: RowsProperties & { readonly list: ConversationList }): JSX.Element {
  const [editedFolder, setEditedFolder] = useState<string | null>(null);
  const loose = list.conversations.filter(({ folder }) => folder === null);
  return (
    <nav aria-label="Conversations">
      {list.folders.map((folder) => (
        <Folder
          key={folder}
          name={folder}
          conversations={list.conversations.filter((conversation) => conversation.folder === folder)}
          onEdit={() => setEditedFolder(folder)}
          {...rest}
        />
      ))}
      <Rows conversations={loose} {...rest} />
      {list.conversations.length === 0 && <p class={style["none"]}>Your conversations will be listed here.</p>}
      {list.damaged > 0 && (
        <p class={style["none"]}>
          {count(list.damaged, "conversation")} could not be read: {list.damaged === 1 ? "its file is" : "their files are"} damaged, and
          left as {list.damaged === 1 ? "it is" : "they are"}.
        </p>
      )}
      {editedFolder !== null && <FolderDialog name={editedFolder} onClose={() => setEditedFolder(null)} />}
    </nav>
  );
}

function Folder({
  name,
  conversations,
  onEdit,
  ...rest
}: RowsProperties & {
  readonly name: string;
  readonly conversations: readonly ConversationSummary[];
  readonly onEdit: () => void;
}): JSX.Element {
  const open = !closedFolders.value.has(name);
  const toggle = (): void => {
    const closed = new Set(closedFolders.value);
    if (!closed.delete(name)) closed.add(name);
    closedFolders.value = closed;
  };
  return (
    <section class={style["folder"]} aria-label={`Folder ${name}`}>
      <div class={style["line"]}>
        <button type="button" class={style["folderName"]} aria-expanded={open} onClick={toggle}>
          <Icon name={open ? "down" : "right"} size={16} />
          <Icon name="folder" size={16} />
          <bdi class={style["title"]}>{name}</bdi>
        </button>
        <IconButton label={`Change the folder ${name}`} icon="more" tiny onClick={onEdit} />
      </div>
      {open && <Rows conversations={conversations} {...rest} />}
    </section>
  );
}

function Rows({
  conversations,
  current,
  onChosen,
}: RowsProperties & { readonly conversations: readonly ConversationSummary[] }): JSX.Element {
  const [shown, setShown] = useState(SHOWN);
  const [edited, setEdited] = useState<string | null>(null);
  const editedConversation = conversations.find(({ id }) => id === edited);
  return (
    <ul class={style["rows"]}>
      {conversations.slice(0, shown).map(({ id, title }) => (
        <li key={id} class={style["line"]} data-current={id === current}>
          <a
            class={style["link"]}
            href={`/chat/${encodeURIComponent(id)}`}
            aria-current={id === current ? "page" : undefined}
            title={title}
            onClick={onChosen}
          >
            <bdi class={style["title"]}>{title}</bdi>
          </a>
          <IconButton label={`Change “${title}”`} icon="more" tiny onClick={() => setEdited(id)} />
        </li>
      ))}
      {conversations.length > shown && (
        <li>
          <button type="button" class="button plain tiny" onClick={() => setShown(shown + SHOWN)}>
            {conversations.length - shown} more
          </button>
        </li>
      )}
      {editedConversation && (
        <ConversationDialog conversation={editedConversation} isOpen={editedConversation.id === current} onClose={() => setEdited(null)} />
      )}
    </ul>
  );
}
