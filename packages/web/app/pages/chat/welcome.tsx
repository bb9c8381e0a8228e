/**
 * A conversation in which nothing was said yet.
 * @module
 */
import type { JSX } from "preact";
import type { OfferedRow } from "../../../src/protocol/library.ts";
import { Empty } from "../../parts/notice.tsx";
import style from "./chat-page.module.css";

const STORIES = [
  "Tell me a story about a fox who was afraid of the dark.",
  "Tell me a story about two friends and a lost red ball.",
  "Tell me a story about a girl who finds a tiny door in a tree.",
];
const QUESTIONS = [
  "Explain in three sentences how a vaccine works.",
  "Write a polite letter that asks a landlord to repair the heating.",
  "What should I ask a doctor before an operation on my knee?",
];

export function Welcome({ model, onAsk }: { readonly model: OfferedRow; readonly onAsk: (question: string) => void }): JSX.Element {
  const examples = /stor(?:y|ies)/i.test(model.name) ? STORIES : QUESTIONS;
  return (
    <div class={style["welcome"]}>
      <h2>Say something</h2>
      <p class="quiet">
        You and the model use words. {model.protection === "shares" ? "Each of the two servers" : "The host that computes the answer"} gets
        numbers: the page can show them beside every message.
      </p>
      <ul class={style["examples"]} aria-label="Examples">
        {examples.map((question) => (
          <li key={question}>
            <button type="button" class="button" onClick={() => onAsk(question)}>
              {question}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** No model can be asked. */
export function NoModel(): JSX.Element {
  return (
    <div class={style["welcome"]}>
      <Empty title="No model answers now" icon="models">
        <p>Here you will talk with a model. Encrypt one and let a host serve it, or add a host that already does.</p>
        <p>
          <a class="button" href="/models">
            To the models
          </a>
        </p>
      </Empty>
    </div>
  );
}
