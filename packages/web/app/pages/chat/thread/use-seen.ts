/**
 * Work that is done for what is on the screen alone.
 * @module
 */
import { useEffect, useRef } from "preact/hooks";

/** Calls once an element comes near the part of the page that is seen. */
export function useSeen<Kind extends Element>(onSeen: () => void, again: readonly unknown[] = []): (element: Kind | null) => void {
  const latest = useRef(onSeen);
  latest.current = onSeen;
  const observed = useRef<{ element: Kind; observer: IntersectionObserver } | null>(null);
  const observe = (element: Kind | null): void => {
    observed.current?.observer.disconnect();
    observed.current = null;
    if (!element) return;
    const observer = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && latest.current(), {
      rootMargin: "600px 0px",
    });
    observer.observe(element);
    observed.current = { element, observer };
  };
  const stable = useRef(observe);
  useEffect(() => {
    if (observed.current) stable.current(observed.current.element);
  }, again);
  return stable.current;
}
