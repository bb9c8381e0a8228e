/**
 * The conversations at the left, the open one in the middle, and where one writes below it.
 * @module
 */
import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ConversationSettings } from "../../../src/protocol/conversations.ts";
import { failureOf, reachable } from "../../api/console.ts";
import { status } from "../../api/status.ts";
import { shownKeys, useShortcut } from "../../keyboard.ts";
import { announce } from "../../parts/announcer.tsx";
import { IconButton } from "../../parts/button.tsx";
import { useTitle } from "../../page-frame.tsx";
import { navigate, route } from "../../router.ts";
import style from "./chat-page.module.css";
import { Composer } from "./compose/composer.tsx";
import { answeringModels } from "./data/answering-models.ts";
import { changeConversation, conversationList, refreshConversations } from "./data/conversation-list.ts";
import { NEW_SETTINGS, startConversation } from "./data/new-conversation.ts";
import { hostSideShown, sidebarShown } from "./data/preferences.ts";
import { openThread } from "./data/thread.ts";
import { SettingsDialog } from "./dialogs/settings-dialog.tsx";
import { ModelPicker, modelFor } from "./model-picker.tsx";
import { Sidebar } from "./sidebar/sidebar.tsx";
import type { ThreadContext } from "./thread/context.ts";
import { ThreadView } from "./thread/thread-view.tsx";
import { NoModel, Welcome } from "./welcome.tsx";

export function ChatView({ id }: { readonly id: string | null }): JSX.Element {
  const thread = useMemo(() => (id === null ? null : openThread(id)), [id]);
  const composer = useRef<HTMLTextAreaElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const sidebar = useRef<HTMLElement>(null);
  const header = useRef<HTMLElement>(null);
  const [drawerOpen, setDrawerOpen] = useState(false);
  const [settingsOpen, setSettingsOpen] = useState(false);
  const wanted = route.value.query.get("model");
  const newSettings = useSignal(NEW_SETTINGS);
  const editing = useSignal<string | null>(null);
  const found = useSignal<string | null>(null);

  const listed = conversationList.value?.conversations.find((conversation) => conversation.id === id);
  const summary = listed ?? thread?.summary.value ?? null;
  const settings = summary?.settings ?? (thread ? NEW_SETTINGS : newSettings.value);
  const title = summary?.title ?? (thread ? "Conversation" : "New conversation");
  const chosenModel = useSignal(settings.model);
  chosenModel.value = settings.model;
  const answering = useComputed(() => modelFor(answeringModels.value, chosenModel.value));
  const model = answering.value;
  const searched = route.value.query.get("message");
  useTitle(title);

  useEffect(() => {
    if (!reachable.value) return;
    void refreshConversations().catch((error: unknown) => announce(failureOf(error).message));
    // It could not be read while the gateway was away.
    if (thread?.failure.value) void thread.load();
  }, [reachable.value]);
  useEffect(() => {
    if (wanted !== null) newSettings.value = { ...NEW_SETTINGS, model: wanted };
  }, [wanted]);
  useEffect(() => {
    void thread?.load();
    editing.value = null;
    if (matchMedia("(pointer: fine)").matches && searched === null)
      // Not out of a field that somebody has gone to meanwhile.
      focusSoon(() => (document.activeElement?.matches("input, textarea, select") ? null : composer.current));
    return () => thread?.close();
  }, [thread]);
  useEffect(() => {
    found.value = null;
    if (!thread || searched === null) return;
    void thread
      .load()
      .then(() => thread.reveal(searched))
      .then(
        () => (found.value = searched),
        (error: unknown) => announce(failureOf(error).message),
      );
  }, [thread, searched]);

  const saveSettings = async (changed: ConversationSettings): Promise<void> => {
    if (!thread) newSettings.value = changed;
    else thread.summary.value = await changeConversation(thread.id, { settings: changed });
  };
  const send = async (content: string): Promise<void> => {
    if (thread) return thread.take({ kind: "say", parent: thread.messages.value.at(-1)?.value.id ?? null, content });
    navigate(`/chat/${await startConversation(newSettings.value, content)}`, { replace: true });
    newSettings.value = NEW_SETTINGS;
  };
  const stop = (): void => void attempt(async () => thread?.stop());
  const editLast = (): void => {
    const last = thread?.messages.value.findLast((entry) => entry.value.role === "user");
    if (last && thread?.streaming.value === null) editing.value = last.value.id;
  };
  const closeDrawer = (): void => {
    setDrawerOpen(false);
    focusSoon(() => header.current?.querySelector("button") ?? null);
  };
  const toggleList = (): void => {
    if (!isNarrow()) sidebarShown.value = !sidebarShown.value;
    else if (drawerOpen) closeDrawer();
    else {
      setDrawerOpen(true);
      focusSoon(() => sidebar.current?.querySelector("button") ?? null);
    }
  };
  const focusSearch = (): void => {
    if (isNarrow()) setDrawerOpen(true);
    else sidebarShown.value = true;
    focusSoon(() => search.current);
  };
  const newChat = (): void => {
    navigate("/chat");
    composer.current?.focus();
  };
  useShortcut("Control+Shift+O", "New chat", newChat);
  useShortcut("Control+K", "Search conversations", focusSearch);
  useShortcut("Control+B", "Show or hide what the host sees", () => (hostSideShown.value = !hostSideShown.value));
  useShortcut("Escape", "Stop the answer", () => {
    if (drawerOpen) closeDrawer();
    else if (thread?.streaming.value) stop();
  });

  // The same object for as long as it is the same conversation, so that its messages are drawn again only when they change.
  const context = useMemo(
    (): ThreadContext | null =>
      thread && {
        thread,
        editing,
        found,
        model: answering,
        take: (turn) => attempt(() => thread.take(turn)),
        choose: async (message) => void (await attempt(() => thread.choose(message))),
      },
    [thread],
  );
  const isEmpty = !thread || (thread.summary.value !== null && thread.messages.value.length === 0);
  return (
    <div class={style["chat"]} data-drawer={drawerOpen} data-sidebar={sidebarShown.value}>
      <aside class={style["sidebar"]} ref={sidebar} aria-label="All conversations">
        <Sidebar current={id} search={search} onChosen={() => setDrawerOpen(false)} />
      </aside>
      {drawerOpen && <div class={style["shade"]} onClick={closeDrawer} />}
      <section class={style["conversation"]} aria-label="Conversation">
        <header class={style["header"]} ref={header}>
          <IconButton label="Conversations" icon="menu" expanded={isNarrow() ? drawerOpen : sidebarShown.value} onClick={toggleList} />
          <h1 class={style["title"]} tabIndex={-1} title={title}>
            <bdi>{title}</bdi>
          </h1>
          <ModelPicker
            models={answeringModels.value}
            chosen={settings.model}
            onChoose={(chosen) => void attempt(() => saveSettings({ ...settings, model: chosen }))}
          />
          <IconButton label="Settings of this conversation" icon="settings" onClick={() => setSettingsOpen(true)} />
          <IconButton
            label={`What the host sees (${shownKeys("Control+B")})`}
            icon={hostSideShown.value ? "eye" : "closedEye"}
            pressed={hostSideShown.value}
            onClick={() => (hostSideShown.value = !hostSideShown.value)}
          />
        </header>
        {isEmpty ? (
          model ? (
            <Welcome model={model} onAsk={(question) => void attempt(() => send(question))} />
          ) : (
            status.value && !status.value.preparing && <NoModel />
          )
        ) : null}
        {!isEmpty && context && <ThreadView key={id} context={context} />}
        <div class={style["foot"]}>
          <Composer
            conversation={id}
            busy={thread !== null && thread.streaming.value !== null}
            disabled={!model}
            field={composer}
            onSend={send}
            onStop={stop}
            onEditLast={editLast}
          />
        </div>
      </section>
      {settingsOpen && <SettingsDialog settings={settings} model={model} onSave={saveSettings} onClose={() => setSettingsOpen(false)} />}
    </div>
  );
}

/** Whether the list of conversations lies over the page instead of beside it. */
function isNarrow(): boolean {
  return matchMedia("(width < 1000px)").matches;
}

/** Once it is on the screen, and after the page's frame has given the focus to the title. */
function focusSoon(find: () => HTMLElement | null): void {
  setTimeout(() => find()?.focus(), 30);
}

/** Says what went wrong. @returns whether nothing did */
async function attempt(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    announce(failureOf(error).message);
    return false;
  }
}
