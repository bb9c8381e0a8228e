/**
 * Models, the keys that they are under, the hosts that serve them, and what each protection is worth.
 * @module
 */
import type { JSX } from "preact";
import { PageFrame, useTitle } from "../../page-frame.tsx";
import { route } from "../../router.ts";
import { HostsTab } from "./hosts-tab.tsx";
import { KeysTab } from "./keys-tab.tsx";
import { ModelsTab } from "./models-tab.tsx";
import style from "./models.module.css";
import { ProtectionsTab } from "./protections-tab.tsx";

const tabs = [
  { path: "", label: "Models", Content: ModelsTab },
  { path: "keys", label: "Keys", Content: KeysTab },
  { path: "hosts", label: "Hosts", Content: HostsTab },
  { path: "protections", label: "Protections", Content: ProtectionsTab },
] as const;

export default function ModelsPage(): JSX.Element {
  const [path = ""] = route.value.rest;
  const current = tabs.find((tab) => tab.path === path) ?? tabs[0];
  useTitle(current.path === "" ? "Models" : `${current.label}, Models`);
  return (
    <PageFrame
      title="Models"
      summary="A model is encrypted here, under a key that stays here. A host gets the encrypted model and numbers, never the key and no words."
    >
      <nav class={style["tabs"]} aria-label="Parts of this page">
        {tabs.map((tab) => (
          <a key={tab.path} href={tab.path ? `/models/${tab.path}` : "/models"} aria-current={tab === current ? "page" : undefined}>
            {tab.label}
          </a>
        ))}
      </nav>
      <current.Content key={current.path} />
    </PageFrame>
  );
}
