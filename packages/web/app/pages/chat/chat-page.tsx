/**
 * Chat: conversations with a model on an untrusted machine, and what that machine sees of them.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import { failureOf, reachable } from "../../api/console.ts";
import { status } from "../../api/status.ts";
import { FailureNotice } from "../../parts/notice.tsx";
import { PageFrame } from "../../page-frame.tsx";
import { route } from "../../router.ts";
import { ChatView } from "./chat-view.tsx";
import { loadVault, vault } from "./data/vault.ts";
import { UnlockPage } from "./dialogs/unlock-page.tsx";

export default function ChatPage(): JSX.Element | null {
  const [failure, setFailure] = useState<Failure | null>(null);
  const state = vault.value?.state;
  // Again whenever the gateway comes back; and where a passphrase guards them, at every sign of life: it may have been started again, or
  // another page may have locked them.
  const sign = vault.value?.protection === "passphrase" ? status.value : null;
  useEffect(() => {
    if (!reachable.value) return;
    loadVault().then(
      () => setFailure(null),
      (error: unknown) => setFailure(failureOf(error)),
    );
  }, [reachable.value, sign]);
  if (state === "locked") return <UnlockPage />;
  if (state === "open") return <ChatView id={route.value.rest[0] ?? null} />;
  return (
    <PageFrame title="Chat" summary="">
      <FailureNotice failure={failure} />
    </PageFrame>
  );
}
