/**
 * Numbers as a reader sees them. Rounding never turns "nearly" into "all" or "nothing".
 * @module
 */

/** What stands where there is no number. */
export const NOTHING = "–";

/** A share 0..1 in per cent with one decimal, without the sign: `99.4`, `100`, `0`; `>99.9` and `<0.1` where rounding would say all or nothing. */
export function percent(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return NOTHING;
  if (share === 0 || share === 1) return `${share * 100}`;
  if (share > 0 && share < 0.0005) return "<0.1";
  if (share < 1 && share >= 0.9995) return ">99.9";
  return (share * 100).toFixed(1);
}

/** As {@link percent}, in a sentence: `99.4 %`, `more than 99.9 %`. */
export function percentInWords(share: number): string {
  return `${percent(share).replace("<", "less than ").replace(">", "more than ").replace(".0", "")} %`;
}

/** Rounded up to one decimal, for sentences that say "not more than". */
export function percentAtMost(share: number): string {
  return `${Number((Math.ceil(share * 1000 - 1e-9) / 10).toFixed(1))} %`;
}

/** Seconds: two decimals below one, one below ten, else whole. */
export function seconds(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  if (value > 0 && value < 0.01) return "<0.01";
  if (value < 1) return value.toFixed(2);
  return value < 9.95 ? value.toFixed(1) : grouped(Math.round(value));
}

/** A time in words: `0.4 s`, `4 s`, `12 min`, `2.5 h`. */
export function duration(value: number): string {
  if (!Number.isFinite(value)) return "an unknown time";
  if (value < 0.1) return "less than 0.1 s";
  if (value < 0.95) return `${value.toFixed(1)} s`;
  if (value < 59.5) return `${Math.round(value)} s`;
  if (value < 3570) return `${Math.round(value / 60)} min`;
  return `${Number((value / 3600).toFixed(1))} h`;
}

/** Three significant digits, thousands grouped: `12,400`, `0.0312`, `2e-9`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (Number.isSafeInteger(value) || (size >= 1000 && size < 1e15)) return grouped(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

/** A whole number with its thousands apart: `12,400`. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A number of things: `1 key`, `5 keys`. */
export function counted(count: number, thing: string): string {
  return `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** A sentence whose numbers do not part from their units at the end of a line. */
export function unbroken(sentence: string): string {
  return sentence.replace(/(?<=\d) (?=(?:%|s|min|h)(?!\w))/g, "\u00a0");
}

/** A phrase as the end of a sentence: one full stop. */
export function ended(phrase: string): string {
  return `${phrase.replace(/[\s.]+$/, "")}.`;
}

/** camelCase, as figures are named, in words: `pairsPerSecond` is "pairs per second". */
export function inWords(name: string): string {
  const words = name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`;
}
