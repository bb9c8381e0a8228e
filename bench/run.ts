/**
 * `npm run bench [-- NAME ...] [--json]`: speed and memory, as ratios within one run where it can be.
 * @module
 */
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { decode } from "./decode.ts";
import { encoders } from "./encoders.ts";
import { fhe } from "./fhe.ts";
import { gateway } from "./gateway.ts";
import { lab } from "./lab.ts";
import { printTable, type Figure } from "./measure.ts";
import { shares } from "./shares.ts";
import { transform } from "./transform.ts";

const benchmarks: Readonly<Record<string, () => Promise<Figure[]>>> = { transform, decode, encoders, fhe, shares, gateway, lab };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
const results: Record<string, Figure[]> = {};
if (!values.json) process.stdout.write(`${machine}\n`);
for (const name of names) {
  const benchmark = benchmarks[name];
  if (!benchmark) throw new Error(`no benchmark ${name}; there are: ${Object.keys(benchmarks).join(", ")}`);
  results[name] = await benchmark();
  if (!values.json) printTable(name, results[name]);
}
if (values.json) process.stdout.write(`${JSON.stringify({ machine, results })}\n`);
process.exit(0);
