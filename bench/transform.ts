/**
 * How fast and in how much memory a checkpoint of Llama 3.2 1B's shape is encrypted, beside copying its bytes.
 * @module
 */
import { closeSync, copyFileSync, fsyncSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alternate, medianRatio, median, seconds, type Figure } from "./measure.ts";
import { timeEncryption } from "./encryption.ts";
import { ONE_BILLION, writeRandomCheckpoint } from "./random-checkpoint.ts";

const ROUNDS = 3;

/** Encrypts the checkpoint and removes the result. */
async function encrypt(directory: string, strength: string): Promise<{ seconds: number; megabytes: number }> {
  const output = join(directory, "encrypted");
  rmSync(output, { recursive: true, force: true });
  const result = await timeEncryption(join(directory, "plain"), output, strength, join(directory, "home"));
  rmSync(output, { recursive: true, force: true });
  return result;
}

function copy(directory: string, flush: boolean): void {
  const target = join(directory, "copy");
  copyFileSync(join(directory, "plain", "model.safetensors"), target);
  if (flush) {
    const descriptor = openSync(target, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
  rmSync(target);
}

export async function transform(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  try {
    const bytes = writeRandomCheckpoint(join(directory, "plain"), ONE_BILLION);
    const peaks: number[] = [];
    const run = (strength: string) => async (): Promise<number> => {
      const result = await encrypt(directory, strength);
      peaks.push(result.megabytes);
      return result.seconds;
    };
    const times = await alternate(ROUNDS, {
      cached: () => seconds(() => copy(directory, false)),
      flushed: () => seconds(() => copy(directory, true)),
      permute: run("permute"),
      rotate: run("rotate"),
    });
    const gigabytes = bytes / 1e9;
    return [
      { name: "plain copy, into the page cache", value: gigabytes / median(times.cached), unit: "GB/s" },
      { name: "plain copy, flushed to disk", value: gigabytes / median(times.flushed), unit: "GB/s" },
      { name: "encrypt --strength permute, flushed to disk", value: gigabytes / median(times.permute), unit: "GB/s" },
      { name: "encrypt --strength rotate, flushed to disk", value: gigabytes / median(times.rotate), unit: "GB/s" },
      { name: "permute : flushed copy, speed", value: medianRatio(times.flushed, times.permute), unit: "", goal: ">= 0.5" },
      { name: "permute : cached copy, speed", value: medianRatio(times.cached, times.permute), unit: "" },
      { name: "permute, 1B", value: median(times.permute), unit: "s" },
      { name: "rotate, 1B", value: median(times.rotate), unit: "s", goal: "<= 20" },
      { name: "peak memory", value: Math.max(...peaks), unit: "MiB", goal: "< 1024" },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
