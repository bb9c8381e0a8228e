/**
 * The colours of the page, in light and dark. Lines of plots stay apart for colour-blind readers too, and every text colour has a
 * contrast of 4.5 or more.
 *
 * Source of the lines' hues: Okabe and Ito, "Color universal design", 2008, made darker or lighter for contrast.
 * @module
 */

/** Colours by what they are for. */
export interface Palette {
  readonly paper: string;
  readonly shade: string;
  readonly ink: string;
  readonly quiet: string;
  readonly rule: string;
  readonly accent: string;
  readonly warning: string;
  readonly warningPaper: string;
  readonly lines: readonly string[];
}

export const LIGHT: Palette = {
  paper: "#ffffff",
  shade: "#f5f5f1",
  ink: "#1b1d21",
  quiet: "#5a6068",
  rule: "#d8d9d4",
  accent: "#0a5f96",
  warning: "#9c2f00",
  warningPaper: "#fdf1ea",
  lines: ["#0a6aab", "#bb4a00", "#00775a", "#a03c7f", "#765a00", "#55606e"],
};

export const DARK: Palette = {
  paper: "#15171a",
  shade: "#1e2125",
  ink: "#e7e6e1",
  quiet: "#a3a8af",
  rule: "#3a3e45",
  accent: "#7cc3ef",
  warning: "#ffab7c",
  warningPaper: "#33221a",
  lines: ["#5cb6ee", "#f39351", "#35c79d", "#e598c6", "#dfc04a", "#adb6c2"],
};

/** The palette as custom properties of a style sheet. */
export function properties({ lines, ...colours }: Palette): string {
  return [
    ...Object.entries(colours).map(([name, colour]) => `--${name.replace("P", "-p")}: ${colour};`),
    ...lines.map((colour, index) => `--line-${index}: ${colour};`),
  ].join(" ");
}
