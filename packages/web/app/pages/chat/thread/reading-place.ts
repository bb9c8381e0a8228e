/**
 * Where one reads: at the end, which is followed while it grows, or anywhere else, which then does not move.
 * @module
 */
import { useSignal, type Signal } from "@preact/signals";
import type { RefObject } from "preact";
import type { Thread } from "../data/thread.ts";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** Pixels from the end that still count as the end. */
const NEAR = 48;

export interface ReadingPlace {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly list: RefObject<HTMLDivElement | null>;
  /** Whether one reads elsewhere than at the end. */
  readonly away: Signal<boolean>;
  /** Keeps what is seen where it is when older messages come above it. */
  hold(): void;
  toEnd(): void;
  /** Brings a message to the middle and gives it the focus. */
  lookAt(message: string): void;
}

/** @param first id of the first message that is shown, so that older ones are noticed */
export function useReadingPlace(first: string | undefined, thread: Pick<Thread, "newer" | "showEnd">): ReadingPlace {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const away = useSignal(false);
  const following = useRef(true);
  const lastTop = useRef(0);
  const held = useRef<number | null>(null);
  const toEnd = (): void => {
    if (thread.newer.value) thread.showEnd();
    following.current = true;
    away.value = false;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  useEffect(() => {
    const element = scroller.current!;
    const onScroll = (): void => {
      const top = element.scrollTop;
      // The end of a part is no end.
      const atEnd = !thread.newer.value && element.scrollHeight - top - element.clientHeight < NEAR;
      // What is added below moves nothing: only a person scrolls up.
      if (atEnd) following.current = true;
      else if (top < lastTop.current - 1) following.current = false;
      lastTop.current = top;
      away.value = !atEnd && !following.current;
    };
    const grown = new ResizeObserver(() => {
      if (following.current) element.scrollTop = element.scrollHeight;
      else onScroll();
    });
    element.addEventListener("scroll", onScroll, { passive: true });
    grown.observe(list.current!);
    grown.observe(element);
    return () => {
      element.removeEventListener("scroll", onScroll);
      grown.disconnect();
    };
  }, []);
  useLayoutEffect(() => {
    const element = scroller.current!;
    if (held.current !== null) {
      element.scrollTop = element.scrollHeight - held.current;
      lastTop.current = element.scrollTop;
      held.current = null;
    } else if (following.current) element.scrollTop = element.scrollHeight;
  }, [first]);
  return {
    scroller,
    list,
    away,
    toEnd,
    hold() {
      following.current = false;
      held.current = scroller.current!.scrollHeight - scroller.current!.scrollTop;
    },
    lookAt(message) {
      const row = list.current?.querySelector<HTMLElement>(`[data-message="${CSS.escape(message)}"]`);
      if (!row) return;
      following.current = false;
      row.scrollIntoView({ block: "center" });
      row.focus({ preventScroll: true });
    },
  };
}
