import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const folder = new URL("../../src/raft/", import.meta.url);
const files = readdirSync(folder).map((name) => ({
  name,
  // What stands in comments is not code.
  code: readFileSync(new URL(name, folder), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ""),
}));

/** All the ways by which a function could depend on anything but its arguments. */
const IMPURE = [
  "Date",
  "performance",
  "Math\\s*\\.\\s*random",
  "crypto",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "process",
  "globalThis",
  "require",
  "import\\s*\\(",
  "import\\s*\\.\\s*meta",
  "console",
  "Worker",
  "MessagePort",
  "MessageChannel",
  "SharedArrayBuffer",
  "Atomics",
  "fetch",
  "Promise",
  "async",
  "await",
  "eval",
  "Intl",
  "toLocale\\w*",
  "localeCompare",
];

describe("the algorithm is a function of its inputs", () => {
  it("has the files this test is about", () => {
    expect(files.map((file) => file.name)).toContain("raft.ts");
  });

  it.each(files)("$name imports only from its own folder", ({ code }) => {
    const specifiers = [...code.matchAll(/(?:\bfrom|\bimport)\s*["']([^"']+)["']/g)].map((match) => match[1]);
    expect(specifiers.filter((specifier) => !/^\.\/[a-z-]+\.ts$/.test(specifier ?? ""))).toEqual([]);
    expect(code.match(/\bfrom\s*["']/g)?.length ?? 0).toBe(specifiers.length);
  });

  it.each(files)("$name names no clock, timer, source of randomness or process", ({ code }) => {
    const named = new RegExp(`(?<![.\\w#"])(?:${IMPURE.join("|")})(?![\\w"])`, "g");
    const withoutTexts = code.replace(/`[^`]*`|"[^"\n]*"/g, '""');
    expect(withoutTexts.match(named) ?? []).toEqual([]);
  });
});
