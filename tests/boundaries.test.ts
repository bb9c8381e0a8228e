/**
 * A package is a trust boundary: what it may import is what that party may know.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What each package may import of ours. A package that is not here has no place yet. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  attest: ["core"],
  client: ["core", "attest"],
  fhe: ["core"],
  host: ["core", "attest"],
  hub: ["core", "client", "attest", "fhe"],
  lab: ["core", "client", "fhe"],
  shares: ["core"],
  web: [],
  unseen: ["core", "client", "host", "lab", "fhe", "attest", "hub", "shares", "web"],
};

/** Everything of Node that can talk to another machine or start something that can. */
const NETWORK = ["http", "http2", "https", "net", "tls", "dgram", "dns", "undici", "cluster", "child_process", "inspector"];
const NETWORK_GLOBALS = /\b(?:fetch|WebSocket|WebSocketStream|EventSource|XMLHttpRequest|navigator\.sendBeacon)\s*\(/;

/** Modules beside the sources that no running program loads: tests' helpers and the builder of the kernels. */
const NOT_AT_RUN_TIME = new Set([
  "packages/core/src/algebra/kernels/build.ts",
  "packages/lab/src/numeric/build.ts",
  "packages/shares/src/ring/build.ts",
  "packages/client/src/example-tokenizers.ts",
]);

interface Source {
  readonly package: string;
  readonly path: string;
  /** Without comments, strings as they are. */
  readonly code: string;
  readonly imports: readonly string[];
}

const sources = globSync("packages/*/{src,bin}/**/*.{ts,js}", { cwd: ROOT }).map(readSource);
const shipped = sources.filter(({ path }) => !isTest(path));

function readSource(path: string): Source {
  const code = withoutComments(readFileSync(join(ROOT, path), "utf8"));
  return { package: path.split("/")[1] as string, path, code, imports: importsOf(code) };
}

function importsOf(code: string): string[] {
  return [
    ...code.matchAll(/(?:^|[\s;}])(?:import|export)\b[^"'`;=()]*?\bfrom\s*["']([^"']+)["']/g),
    ...code.matchAll(/(?:^|[\s;}])import\s*["']([^"']+)["']/g),
    ...code.matchAll(/\b(?:import|require|getBuiltinModule|import\.meta\.resolve)\s*\(\s*["'`]([^"'`]+)["'`]/g),
  ].map((match) => match[1] as string);
}

/** The same of a page, whose markup holds words and quotation marks between its elements: there statements begin a line. */
function importsOfPage(path: string): string[] {
  const code = readFileSync(join(ROOT, path), "utf8");
  return [/^(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"/gm, /^import\s*"([^"]+)"/gm, /\bimport\(\s*"([^"]+)"/g].flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => match[1] as string),
  );
}

/** Tests and their helpers may use more: they start the other parties. */
function isTest(path: string): boolean {
  return /\.(?:test|fixture)\.ts$/.test(path) || NOT_AT_RUN_TIME.has(path);
}

function withoutComments(text: string): string {
  // Strings first, so that "https://" is no comment.
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_match, string: string | undefined) => string ?? "",
  );
}

/** The package of ours that an import leads to, by name or by path; null where it is none. */
function ownPackage(source: Source, specifier: string): string | null {
  const named = /^(?:@unseen\/([a-z]+)|(unseen))(?:\/|$)/.exec(specifier);
  if (named) return named[1] ?? named[2] ?? null;
  if (!specifier.startsWith(".")) return null;
  const target = relative(ROOT, resolve(ROOT, dirname(source.path), specifier));
  return /^packages\/([^/]+)\//.exec(target)?.[1] ?? `outside packages (${target})`;
}

const SERVER = "packages/hub/src/server/";

/** Imports below a folder that are not allowed. An empty folder fails. */
function slipsOf(folder: string, mayImport: (source: Source, specifier: string) => boolean): string[] {
  const files = shipped.filter(({ path }) => path.startsWith(folder));
  assert.ok(files.length > 3, `${folder} is where it was`);
  return files.flatMap((source) =>
    source.imports.filter((specifier) => !mayImport(source, specifier)).map((specifier) => `${source.path} -> ${specifier}`),
  );
}

/** Whether an import leads to a folder: itself, or through any file of ours. */
function reaches(source: Source, specifier: string, folder: string, visited = new Set<string>()): boolean {
  const named = /^@unseen\/([a-z]+)\/(.+)$/.exec(specifier);
  const target = named ? `packages/${named[1]}/src/${named[2]}` : specifier.startsWith(".") ? join(dirname(source.path), specifier) : null;
  if (target === null || visited.has(target)) return false;
  visited.add(target);
  if (target.startsWith(folder)) return true;
  const next = shipped.find(({ path }) => path === target);
  return next !== undefined && next.imports.some((further) => reaches(next, further, folder, visited));
}

describe("package boundaries", () => {
  test("the reader of imports sees what it must see", () => {
    // A reader that found nothing would let everything pass.
    const example = '// import x from "a"\n/* from "b" */ import y from "c";\nconst u = "http://x"; export * from "d";\nawait import("e");';
    assert.deepEqual(importsOf(withoutComments(example)), ["c", "d", "e"]);
    assert.ok(shipped.length > 100);
    assert.ok(
      shipped.every((source) => source.imports.length > 0 || source.code.includes("export")),
      "files without imports export something",
    );
    assert.ok(
      sources.some((source) => source.imports.includes("@unseen/host/serve.ts")),
      "dynamic imports are seen",
    );
    assert.deepEqual(Object.keys(MAY_IMPORT).toSorted(), [...new Set(sources.map((source) => source.package))].toSorted());
  });

  for (const [name, allowed] of Object.entries(MAY_IMPORT)) {
    test(`${name} imports ${allowed.length === 0 ? "no other package of ours" : `only ${allowed.join(", ")}`}`, () => {
      const foreign = shipped
        .filter((source) => source.package === name)
        .flatMap((source) => source.imports.map((specifier) => ({ file: source.path, specifier, target: ownPackage(source, specifier) })))
        .filter(({ target }) => target !== null && target !== name && !allowed.includes(target));
      assert.deepEqual(foreign, []);
    });

    test(`${name} declares what it imports`, () => {
      const manifest = JSON.parse(readFileSync(join(ROOT, "packages", name, "package.json"), "utf8")) as {
        dependencies?: Record<string, string>;
      };
      const declared = new Set(Object.keys(manifest.dependencies ?? {}));
      const used = new Set(
        shipped
          .filter((source) => source.package === name)
          .flatMap((source) => source.imports)
          .filter((specifier) => !specifier.startsWith(".") && !specifier.startsWith("node:") && !builtinModules.includes(specifier))
          .map((specifier) =>
            specifier
              .split("/")
              .slice(0, specifier.startsWith("@") ? 2 : 1)
              .join("/"),
          ),
      );
      used.delete("node"); // the pinned Node, looked up by bin/unseen.js, absent where the machine's own is new enough
      assert.deepEqual(
        [...used].filter((dependency) => !declared.has(dependency)),
        [],
      );
    });
  }

  test("the hub's server knows core and the protocol, and nothing that opens a blob", () => {
    const libraries = new Set(["@electric-sql/pglite", "@hono/node-server", "hono", "pg", "zod"]);
    const mayImport = (source: Source, specifier: string): boolean => {
      if (specifier.startsWith(".")) {
        const target = join(dirname(source.path), specifier);
        return target.startsWith(SERVER) || target === "packages/hub/src/protocol.ts";
      }
      if (specifier.startsWith("node:") || specifier.startsWith("@unseen/core/")) return true;
      return libraries.has(specifier) || specifier.startsWith("hono/");
    };
    assert.deepEqual(slipsOf(SERVER, mayImport), []);
    // What it imports from beside itself must not lead further.
    assert.deepEqual(shipped.find(({ path }) => path === "packages/hub/src/protocol.ts")?.imports, ["node:crypto", "zod"]);
  });

  test("the search for ways to a secret key finds the user's", () => {
    const ways = shipped.filter((source) => source.imports.some((specifier) => reaches(source, specifier, "packages/fhe/src/client/")));
    assert.ok(ways.some(({ path }) => path === "packages/hub/src/user/private-session.ts"));
    assert.ok(
      ways.some(({ path }) => path === "packages/unseen/bin/unseen.js" || path.startsWith("packages/unseen/src/")),
      "through other files",
    );
  });

  for (const part of ["compile", "evaluator"])
    test(`fhe's ${part} does not reach what holds a secret key`, () => {
      assert.deepEqual(
        slipsOf(`packages/fhe/src/${part}/`, (source, specifier) => !reaches(source, specifier, "packages/fhe/src/client/")),
        [],
      );
    });

  test("nothing that runs imports what only tests may import", () => {
    const targets = (source: Source): string[] =>
      source.imports.filter((specifier) => specifier.startsWith(".")).map((specifier) => join(dirname(source.path), specifier));
    const slips = shipped.flatMap((source) =>
      targets(source)
        .filter(isTest)
        .map((target) => `${source.path} -> ${target}`),
    );
    assert.deepEqual(slips, []);
  });

  test("nobody imports the command line", () => {
    const importers = sources.filter(
      (source) => source.package !== "unseen" && source.imports.some((specifier) => ownPackage(source, specifier) === "unseen"),
    );
    assert.deepEqual(
      importers.map(({ path }) => path),
      [],
    );
  });

  test("core has no way to another machine", () => {
    const core = shipped.filter((source) => source.package === "core");
    for (const { path, imports, code } of core) {
      assert.deepEqual(
        imports.filter((specifier) => NETWORK.includes(specifier.replace(/^node:/, ""))),
        [],
        path,
      );
      assert.doesNotMatch(code, NETWORK_GLOBALS, path);
    }
  });

  test("core depends on no native code", () => {
    const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { dependencies?: Record<string, string>; optionalDependencies?: object; hasInstallScript?: boolean }>;
    };
    const visited = new Set<string>();
    const visit = (name: string): void => {
      if (visited.has(name)) return;
      visited.add(name);
      const entry = lock.packages[`node_modules/${name}`] ?? assert.fail(`${name} is not in the lockfile`);
      assert.equal(entry.hasInstallScript ?? false, false, `${name} runs a script on installation`);
      assert.equal(entry.optionalDependencies, undefined, `${name} brings platform-specific parts`);
      assert.deepEqual(globSync("**/*.node", { cwd: join(ROOT, "node_modules", name) }), [], `${name} brings native code`);
      for (const next of Object.keys(entry.dependencies ?? {})) visit(next);
    };
    for (const name of Object.keys(lock.packages["packages/core"]?.dependencies ?? {})) visit(name);
    assert.ok(visited.size > 0 && existsSync(join(ROOT, "node_modules", [...visited][0] as string)));
  });

  test("no package writes to the console: what is printed, the command line prints", () => {
    const chatty = shipped.filter(({ code }) =>
      /\bconsole\s*\.\s*(?:log|error|warn|info|debug|trace|dir|table|group|assert)\b|from\s*["'](?:node:)?console["']/.test(code),
    );
    assert.deepEqual(
      chatty.map(({ path }) => path),
      [],
    );
  });

  describe("the pages in the browser", () => {
    const pages = globSync("packages/web/app/**/*.{ts,tsx}", { cwd: ROOT, exclude: ["**/*.test.ts"] }).map((path) => ({
      ...readSource(path),
      imports: importsOfPage(path),
    }));

    test("import each other, the console's protocol and bundled libraries, nothing that Node runs", () => {
      const manifest = JSON.parse(readFileSync(join(ROOT, "packages/web/package.json"), "utf8")) as {
        devDependencies: Record<string, string>;
      };
      const libraries = Object.keys(manifest.devDependencies);
      assert.ok(pages.length > 20, "the pages are where they were");
      const slips = pages.flatMap(({ path, imports }) =>
        imports
          .filter((specifier) => {
            if (!specifier.startsWith("."))
              return !libraries.some((library) => specifier === library || specifier.startsWith(`${library}/`));
            const target = join(dirname(path), specifier);
            const isData = /^packages\/unseen\/models\/.*\.(?:json|png)(?:\?url)?$/.test(target);
            return !target.startsWith("packages/web/app/") && !target.startsWith("packages/web/src/protocol/") && !isData;
          })
          .map((specifier) => `${path} -> ${specifier}`),
      );
      assert.deepEqual(slips, []);
    });

    test("ask nobody but the console, through one module", () => {
      const askers = pages.filter(({ code }) => NETWORK_GLOBALS.test(code)).map(({ path }) => path);
      assert.deepEqual(askers, ["packages/web/app/api/console.ts"]);
    });

    test("turn no text into markup or a program", () => {
      const makers = pages.filter(({ code }) =>
        /dangerouslySetInnerHTML|\b(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\s*\(|new Function|srcdoc|createContextualFragment/i.test(
          code,
        ),
      );
      assert.deepEqual(
        makers.map(({ path }) => path),
        [],
      );
    });

    test("the protocol is types alone", () => {
      const slips = shipped.filter(
        ({ path, code }) =>
          path.startsWith("packages/web/src/protocol/") && /^\s*(?:import(?!\s+type)|export (?!type|interface))/m.test(code),
      );
      assert.deepEqual(
        slips.map(({ path }) => path),
        [],
      );
    });
  });

  test("only the command line writes to standard output", () => {
    const writers = shipped.filter((source) => source.package !== "unseen" && /process\.std(?:out|err)\.write/.test(source.code));
    assert.deepEqual(
      writers.map(({ path }) => path),
      [],
    );
  });
});
