/**
 * Numbers for people.
 * @module
 */

/** 1234567 -> "1.2 MB"; decimal prefixes. */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** Seconds -> "45 ms", "3.2 s", "2 min 5 s". */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** 0.998 -> "99.8 %". */
export function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}

/** A small positive number: "3.2e-5", "0.012", "42". */
export function compact(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 0.001 || size >= 1e6 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** "3 models", "1 model". */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

/** ISO 8601 -> "14:05", "Mon 14:05", "3 Nov 2026". */
export function moment(iso: string, now = new Date()): string {
  const date = new Date(iso);
  const days = (now.getTime() - date.getTime()) / 86_400_000;
  if (days < 1 && date.getDate() === now.getDate()) return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (days < 6) return date.toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}
