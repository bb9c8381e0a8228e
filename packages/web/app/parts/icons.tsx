/**
 * Line icons on a grid of 24.
 * @module
 */
import type { JSX } from "preact";

const paths = {
  chat: "M4 5h16v11H9l-5 4z",
  models: "M12 3l8 4.500v9L12 21l-8-4.500v-9zM4.500 7.500L12 12l7.500-4.500M12 12v9",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 2.500-2.500L20 17M15.500 9.500h.01",
  lab: "M9 3h6M10 3v6l-5.500 9.500A1.700 1.700 0 006 21h12a1.700 1.700 0 001.500-2.500L14 9V3M7.500 15h9",
  servers: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  benchmarks: "M4 20h16M7 16v-5M12 16V6M17 16v-8",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  add: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.500l4.500 4.500L19 7",
  stop: "M7 7h10v10H7z",
  send: "M12 19V5M6 11l6-6 6 6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  again: "M20 11a8 8 0 10-2.300 6.300M20 5v6h-6",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  down: "M6 10l6 6 6-6",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM16.500 16.500L21 21",
  folder: "M3 6h6l2 2h10v11H3z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  eye: "M3 12c2.500-4.500 5.500-6.500 9-6.500s6.500 2 9 6.500c-2.500 4.500-5.500 6.500-9 6.500S5.500 16.500 3 12zM12 9.500a2.500 2.500 0 100 5 2.500 2.500 0 000-5z",
  closedEye: "M3 13c2.700-4 5.700-5.500 9-5.500s6.300 1.500 9 5.500M6 16l-1.500 2.500M12 17.500V20M18 16l1.500 2.500",
  key: "M15 4a5 5 0 11-4.500 7.200L4 17.700V20h3v-2h2v-2h2l1.600-1.600M16 8h.01",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 017 0v3",
  light:
    "M12 8a4 4 0 100 8 4 4 0 000-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M5.600 18.400L7 17M17 7l1.400-1.400",
  dark: "M20 14.500A8 8 0 119.500 4a6.500 6.500 0 0010.500 10.500z",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  play: "M8 5l11 7-11 7z",
  menu: "M4 7h16M4 12h16M4 17h16",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
} as const;

export type IconName = keyof typeof paths;

/** An icon beside words, or with words of its own on the button around it: it is never heard. */
export function Icon({ name, size = 20 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}
