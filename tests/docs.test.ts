/**
 * The documentation is compared with the code: codes, commands, flags, variables, links, and claims that nobody may make.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describeError } from "@unseen/client/openai/errors.ts";
import { knownOperators } from "@unseen/core/blueprint/trace/known.ts";
import { operatorNames } from "@unseen/core/blueprint/trace/operators/index.ts";
import { errorCodes, UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { allAttacks } from "@unseen/lab/attacks/index.ts";
import { judgeAttack } from "@unseen/lab/attacks/judge.ts";
import { createProgram } from "unseen/main.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Every page that readers of the repository meet. */
const pages = [...globSync("*.md", { cwd: ROOT }), ...globSync("docs/**/*.md", { cwd: ROOT })].toSorted();
const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");

/** Variables that are no flags: of the keyring, of failures, and of the tests. */
const PLAIN_VARIABLES = ["UNSEEN_HOME", "UNSEEN_PASSPHRASE", "UNSEEN_NEW_PASSPHRASE", "UNSEEN_DEBUG"];
const TEST_VARIABLES = ["UNSEEN_TEST_DATA", "UNSEEN_TEST_BROWSER"];

/** The cells of every table row of a page whose first cell is code; bars inside code do not separate. */
function rowsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      (line.match(/(?:`[^`]*`|[^|`])+/g) ?? [])
        .map((cell) => cell.trim())
        .filter((cell, index, cells) => cell !== "" || index < cells.length - 1),
    );
}

const uncode = (cell: string): string => /^`(.*)`$/.exec(cell)?.[1] ?? cell;

describe("docs/reference/errors.md", () => {
  const rows = rowsOf(textOf("docs/reference/errors.md"));

  test("lists every code once, in the order of the code, and no other", () => {
    assert.deepEqual(
      rows.map(([code]) => uncode(code as string)),
      Object.keys(errorCodes),
    );
  });

  for (const [code, status, meaning, remedy] of rows as [string, string, string, string][]) {
    test(`${uncode(code)} means and answers what the code says`, () => {
      const name = uncode(code) as ErrorCode;
      assert.equal(meaning, errorCodes[name]);
      assert.equal(Number(status), describeError(new UnseenError(name, "example.")).status);
      assert.ok(remedy.length > 10, "says what to do");
    });
  }
});

interface DocumentedCommand {
  readonly usage: string;
  readonly flags: readonly { readonly flags: string; readonly variable: string; readonly fallback: string }[];
}

/** The commands of the program that do something, by their path: `key new`. */
function commandsOf(parent: Command, path: readonly string[] = []): Map<string, Command> {
  const found = new Map<string, Command>();
  for (const command of parent.commands) {
    const here = [...path, command.name()];
    if (command.commands.length === 0) found.set(here.join(" "), command);
    else for (const [name, inner] of commandsOf(command, here)) found.set(name, inner);
  }
  return found;
}

const commands = commandsOf(createProgram());

function described(path: string, command: Command): DocumentedCommand {
  const parameters = command.registeredArguments.map((parameter) =>
    parameter.required ? ` <${parameter.name()}>` : ` [${parameter.name()}]`,
  );
  const options = command.options.filter((option) => option.long !== "--json");
  return {
    usage: `unseen ${path}${parameters.join("")}`,
    flags: options.map((option) => ({
      flags: option.flags,
      variable: option.envVar ?? "",
      fallback: option.defaultValue === undefined || option.negate ? "" : String(option.defaultValue),
    })),
  };
}

describe("docs/reference/cli.md", () => {
  const [, ...sections] = textOf("docs/reference/cli.md").split(/^## /m);
  const documented: DocumentedCommand[] = sections.map((section) => ({
    usage: uncode(section.slice(0, section.indexOf("\n"))),
    flags: rowsOf(section).map((cells) => ({
      flags: uncode(cells[0] as string),
      variable: uncode(cells[1] as string),
      fallback: uncode(cells[2] as string),
    })),
  }));

  test("has every command, in order, with its arguments", () => {
    assert.deepEqual(
      documented.map(({ usage }) => usage),
      [...commands].map(([path, command]) => described(path, command).usage),
    );
  });

  for (const [path, command] of commands) {
    test(`unseen ${path}: every flag with its variable and default`, () => {
      const expected = described(path, command);
      assert.deepEqual(
        documented.find(({ usage }) => usage === expected.usage),
        expected,
      );
    });
  }

  test("lists the variables that are no flags, and the program reads these alone", () => {
    const sources = globSync("packages/*/{src,bin}/**/*.{ts,js}", { cwd: ROOT }).filter((path) => !/\.(?:test|fixture)\.ts$/.test(path));
    const read = new Set(
      sources.flatMap((path) => [...textOf(path).matchAll(/\["(UNSEEN_[A-Z_]+)"\]/g)].map((match) => match[1] as string)),
    );
    assert.deepEqual([...read].toSorted(), PLAIN_VARIABLES.toSorted());
    const [introduction] = textOf("docs/reference/cli.md").split(/^## /m) as [string];
    const listed = rowsOf(introduction).map(([name]) => uncode(name as string));
    assert.deepEqual(listed.filter((name) => name.startsWith("UNSEEN_")).toSorted(), PLAIN_VARIABLES.toSorted());
  });
});

describe("docs/reference/tracer.md", () => {
  const text = textOf("docs/reference/tracer.md");
  const section = text.split(/^## /m).find((part) => part.startsWith("Operators\n")) ?? "";
  const codeOf = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);

  test("lists every operator that the tracer follows once, with its law, and no other", () => {
    const rows = rowsOf(section);
    const names = rows.flatMap(([operators]) => codeOf(operators as string));
    assert.deepEqual(names.toSorted(), operatorNames());
    for (const [operators, law] of rows as [string, string][]) assert.ok(law.length > 10, `${operators}: says no law`);
  });

  test("names the operators that are followed on known contents alone", () => {
    const followed = new Set(operatorNames());
    const sentence = /`Constant`.*are followed in this way alone/.exec(text)?.[0] ?? "";
    assert.deepEqual(codeOf(sentence).toSorted(), [...knownOperators].filter((name) => !followed.has(name)).toSorted());
  });
});

describe("docs/reference/attacks.md", () => {
  const attacks = [...allAttacks, judgeAttack({ url: "http://127.0.0.1", model: "none" })];

  test("lists every attack once, with its tier, what its attacker has and where it comes from, and no other", () => {
    const rows = rowsOf(textOf("docs/reference/attacks.md"));
    assert.deepEqual(
      rows.map(([name, tier, knowledge, , source]) => [uncode(name as string), tier, knowledge, source]),
      attacks.map(({ name, tier, knowledge, source }) => [name, tier, knowledge, source]),
    );
  });
});

test("no text in a program makes a forbidden claim", () => {
  for (const path of globSync("packages/*/{src,bin}/**/*.{ts,js}", { cwd: ROOT }).filter(
    (file) => !/\.(?:test|fixture|wasm)\.ts$/.test(file),
  ))
    for (const claim of [/unbreakabl/i, /\bfactorial/i, /key ?space/i, /military[- ]grade/i])
      assert.doesNotMatch(textOf(path), claim, path);
});

/** Lines that are typed into a shell: those of fenced `sh` blocks, joined where they go on, and code that begins with the program. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|text)?\n([\s\S]*?)^```/gm)].flatMap((match) =>
    (match[1] as string).replaceAll("\\\n", " ").split("\n"),
  );
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
  return [...blocks, ...spans]
    .map((line) => /(?:^|&& |\s)(?:npx )?unseen ([a-z].*)$/.exec(line.replace(/ #.*$/, ""))?.[1]?.trim() ?? "")
    .filter((line) => line !== "");
}

describe("every page", () => {
  const scripts = Object.keys((JSON.parse(textOf("package.json")) as { scripts: Record<string, string> }).scripts);
  const variables = new Set([
    ...PLAIN_VARIABLES,
    ...TEST_VARIABLES,
    "UNSEEN_JSON",
    ...[...commands.values()].flatMap((command) => command.options.map((option) => option.envVar ?? "")),
  ]);

  test("the readers of pages see what they must see", () => {
    // A reader that found nothing would let everything pass.
    assert.ok(pages.length >= 20);
    assert.deepEqual(rowsOf("| `a|b` | c |  | d |"), [["`a|b`", "c", "", "d"]]);
    assert.deepEqual(commandLines("```sh\nX=1 npx unseen key new \\\n  --passphrase   # why\n```\nand `unseen list`, not `unseenly`"), [
      "key new    --passphrase",
      "list",
    ]);
    assert.equal(slug("Several keys, `rekeying`!"), "several-keys-rekeying");
  });

  for (const page of pages) {
    test(`${page}: commands, flags, scripts and variables exist`, () => {
      const text = textOf(page);
      for (const line of commandLines(text)) {
        const [path, command] = [...commands].find(([name]) => line === name || line.startsWith(`${name} `)) ?? [];
        if (!command) {
          assert.match(line, /^(?:[A-Z…]|key(?: new\|list|$)|help|--|$)/, `unseen ${line}: no such command`);
          continue;
        }
        const known = new Set(command.options.flatMap((option) => [option.long, option.short]));
        for (const [flag] of line.matchAll(/(?<=\s)--[a-z-]+/g)) assert.ok(known.has(flag), `unseen ${path} has no ${flag}`);
      }
      for (const [, script] of text.matchAll(/npm run ([a-z:]+)/g))
        assert.ok(scripts.includes(script as string), `npm run ${script}: no such script`);
      for (const [name] of text.matchAll(/\bUNSEEN_[A-Z_]*[A-Z]\b/g)) assert.ok(variables.has(name), `${name}: no such variable`);
    });

    test(`${page}: links lead somewhere`, () => {
      const text = textOf(page).replace(/^```[\s\S]*?^```/gm, "");
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target as string)) continue;
        const [path, anchor] = (target as string).split("#") as [string, string | undefined];
        const file = path === "" ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
        assert.ok(existsSync(file), `${target} is not there`);
        assert.ok(!relative(ROOT, file).startsWith(".."), `${target} leads out of the repository`);
        if (anchor !== undefined)
          assert.ok(statSync(file).isFile() && headings(readFileSync(file, "utf8")).includes(anchor), `${target}: no such heading`);
      }
    });

    test(`${page}: no forbidden claim`, () => {
      for (const claim of FORBIDDEN) assert.doesNotMatch(textOf(page), claim);
    });
  }

  test("paths in code exist", () => {
    for (const page of pages) {
      for (const [, path] of textOf(page).matchAll(/`((?:packages|tests|proofs|bench|docs)\/[\w./-]+)`/g)) {
        assert.ok(EXAMPLES.has(path as string) || existsSync(join(ROOT, path as string)), `${page}: ${path} is not there`);
      }
    }
  });

  test("the laws that groups.md names are tests", () => {
    const laws = textOf("packages/core/src/algebra/laws.test.ts");
    const [table] = textOf("docs/reference/groups.md").split(/^## /m) as [string];
    const named = table
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .slice(2)
      .flatMap((line) => (line.split("|")[5] ?? "").split(";").map((law) => law.trim()));
    const checked = named.filter((law) => law !== "" && law !== "the same" && !law.startsWith("`"));
    assert.ok(checked.length >= 10);
    for (const law of checked) assert.ok(laws.includes(law), `${law}: no such law`);
  });
});

/** Claims that the mathematics does not bear out, and names that mean nothing to a reader. */
const FORBIDDEN = [
  /unbreakabl/i,
  /\b\d[\d,.]*[kKM]?!/,
  /\bfactorial/i,
  /(?:cannot|can't|can not|never) be reconstructed/i,
  /impossible to (?:break|decrypt|recover)/i,
  /military[- ]grade/i,
  /\b2\^\d{3,} (?:keys|possib)/i,
];

/** Files of the worked example in CONTRIBUTING.md, which the reader makes. */
const EXAMPLES: ReadonlySet<string> = new Set(["packages/core/src/blueprint/families/starcoder2.ts"]);

/** The anchors of a page's headings, as forges make them. */
function headings(text: string): string[] {
  return [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm)].map((match) => slug(match[1] as string));
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
}
