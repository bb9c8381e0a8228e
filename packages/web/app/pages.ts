/**
 * The pages: one entry each, in the order of the navigation. A new page is a new entry here, and its path in `src/assets.ts`.
 * @module
 */
import type { FunctionComponent } from "preact";
import type { IconName } from "./parts/icons.tsx";

export interface Page {
  /** First part of its path. */
  readonly path: string;
  readonly label: string;
  readonly icon: IconName;
  /** Loaded when it is first shown. */
  readonly load: () => Promise<{ readonly default: FunctionComponent }>;
}

export const pages: readonly Page[] = [
  { path: "chat", label: "Chat", icon: "chat", load: () => import("./pages/chat/chat-page.tsx") },
  { path: "models", label: "Models", icon: "models", load: () => import("./pages/models/models-page.tsx") },
  { path: "pictures", label: "Picture", icon: "picture", load: () => import("./pages/pictures/pictures-page.tsx") },
  { path: "lab", label: "Lab", icon: "lab", load: () => import("./pages/lab/lab-page.tsx") },
  { path: "servers", label: "Servers", icon: "servers", load: () => import("./pages/servers/servers-page.tsx") },
  { path: "benchmarks", label: "Benchmarks", icon: "benchmarks", load: () => import("./pages/benchmarks/benchmarks-page.tsx") },
];
