/**
 * The last comparison of all protections, for the page of benchmarks.
 * @module
 */
import { Hono } from "hono";
import { readComparison } from "../compare/comparison-record.ts";
import type { Console, ConsolePart } from "./console.ts";

export function openComparison({ home }: Console): ConsolePart {
  const routes = new Hono();
  routes.get("/console/comparison", async (context) => context.json({ comparison: await readComparison(home) }));
  return { routes };
}
