/**
 * The frame around all pages: where one can go, and whether the gateway answers.
 * @module
 */
import { signal } from "@preact/signals";
import type { FunctionComponent, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { granted } from "./api/access.ts";
import { reachable } from "./api/console.ts";
import { status } from "./api/status.ts";
import { AccessPage } from "./access-page.tsx";
import { KeyboardHelp } from "./keyboard-help.tsx";
import { useShortcut } from "./keyboard.ts";
import { pages, type Page } from "./pages.ts";
import { Announcer } from "./parts/announcer.tsx";
import { IconButton } from "./parts/button.tsx";
import { Icon } from "./parts/icons.tsx";
import { Empty } from "./parts/notice.tsx";
import { navigate, route } from "./router.ts";
import style from "./styles/shell.module.css";
import { isDark, switchTheme } from "./theme.ts";

const helpShown = signal(false);

export function Shell(): JSX.Element {
  useShortcut("?", "Show the keyboard shortcuts", () => {
    helpShown.value = true;
  });
  for (const [index, page] of pages.entries())
    // The number of pages never changes, so the hooks are always the same.
    useShortcut(`Control+${index + 1}`, `Go to ${page.label}`, () => navigate(`/${page.path}`));
  if (granted.value === false) return <AccessPage />;
  const current = pages.find(({ path }) => path === route.value.page) ?? (route.value.page === "" ? pages[0] : undefined);
  return (
    <>
      <a class={`button ${style["skip"]}`} href="#main" onClick={focusMain}>
        To the content
      </a>
      <nav class={style["rail"]} aria-label="Pages">
        <div class={style["brand"]}>
          <Icon name="closedEye" />
          <span class={style["brandName"]}>Unseen</span>
        </div>
        <div class={style["pages"]}>
          {pages.map((page) => (
            <a key={page.path} class={style["link"]} href={`/${page.path}`} aria-current={page === current ? "page" : undefined}>
              <Icon name={page.icon} />
              <span class={style["label"]}>{page.label}</span>
            </a>
          ))}
        </div>
        <div class={style["tools"]}>
          <IconButton label={isDark() ? "Light colours" : "Dark colours"} icon={isDark() ? "light" : "dark"} onClick={switchTheme} />
          <IconButton label="Keyboard shortcuts (?)" icon="keyboard" onClick={() => (helpShown.value = true)} />
        </div>
      </nav>
      <main class={style["main"]} id="main">
        <Banner />
        {current ? <LoadedPage page={current} key={current.path} /> : <NoSuchPage />}
      </main>
      <Announcer />
      {helpShown.value && <KeyboardHelp onClose={() => (helpShown.value = false)} />}
    </>
  );
}

function Banner(): JSX.Element | null {
  if (!reachable.value)
    return (
      <div class={style["banner"]} role="alert">
        The gateway does not answer. If it was stopped, start it again: npx unseen gateway. This page goes on by itself.
      </div>
    );
  const preparing = status.value?.preparing;
  if (preparing)
    return (
      <div class={style["banner"]} role="status">
        The gateway is {preparing}.
      </div>
    );
  if (status.value?.models.some(({ simulated }) => simulated))
    return (
      <div class={style["banner"]} role="status">
        An enclave here is a simulator: its evidence protects nothing.
      </div>
    );
  return null;
}

function LoadedPage({ page }: { readonly page: Page }): JSX.Element {
  const [Component, setComponent] = useState<FunctionComponent | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let left = false;
    page.load().then(
      (module) => left || setComponent(() => module.default),
      () => left || setFailed(true),
    );
    return () => {
      left = true;
    };
  }, [page]);
  useEffect(() => {
    if (Component) document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [Component]);
  if (failed)
    return (
      <div class="page">
        <Empty title="This page did not load">
          <p>The gateway may have been updated or stopped. Load the page again.</p>
        </Empty>
      </div>
    );
  return Component ? <Component /> : <p class={style["loading"]}>Loading</p>;
}

function NoSuchPage(): JSX.Element {
  return (
    <div class="page">
      <Empty title="There is no such page">
        <p>
          Go to the <a href="/chat">chat</a>.
        </p>
      </Empty>
    </div>
  );
}

function focusMain(event: MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("h1")?.focus();
}
