import { readFile, stat } from "node:fs/promises";
import { expect, test } from "vitest";

const ROOT = new URL("../", import.meta.url);

function read(path: string): Promise<string> {
  return readFile(new URL(path, ROOT), "utf8");
}

/** The code of all blocks in TypeScript. */
function codeBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? "");
}

test.each(["quickstart.ts", "counter-machine.ts", "leader-lost.ts"])(
  "the README shows examples/%s as it is, which is run elsewhere",
  async (name) => {
    expect(codeBlocks(await read("README.md"))).toContain(await read(`examples/${name}`));
  },
);

test("the README's table has every option, and none that there is not", async () => {
  const table = (await read("README.md")).split("\n## Options\n")[1]?.split("\n## ")[0] ?? "";
  const named = [...table.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name);
  const { KNOWN_OPTIONS } = await import("../src/actors/options-schema.ts");
  expect(named.sort()).toEqual([...(KNOWN_OPTIONS[""] ?? [])].sort());
});

test("the README's table of errors has every code, and none that there is not", async () => {
  const table = (await read("README.md")).split("\n## Errors and outcomes\n")[1]?.split("\n## ")[0] ?? "";
  const firstCells = table.split("\n").map((line) => line.split("|")[1] ?? "");
  const named = firstCells.flatMap((cell) => [...cell.matchAll(/`(ERR_\w+)`/g)].map(([, code]) => code));
  const union = (await read("src/raft/errors.ts")).split("export type RaftErrorCode")[1]?.split("\n\n")[0] ?? "";
  const known = [...union.matchAll(/"(ERR_\w+)"/g)].map(([, code]) => code);
  expect(named.sort()).toEqual(known.sort());
});

test.each([
  ["lab.md", ["lab-rejoin.ts"]],
  ["architecture.md", ["one-command.ts"]],
  ["state-machines.md", ["inventory-machine.ts", "ledger-machine.ts"]],
  ["checking.md", ["check-history.ts"]],
  ["key-value.md", ["key-value.ts"]],
])("docs/%s shows %j of the examples as they are, which are run elsewhere", async (page, examples) => {
  const shown = await Promise.all(examples.map((example) => read(`examples/${example}`)));
  expect(codeBlocks(await read(`docs/${page}`))).toEqual(shown);
});

test("docs/simulating.md shows its two examples as they are, which are run elsewhere", async () => {
  const examples = [await read("examples/tickets-machine.ts"), await read("examples/simulate.ts")];
  expect(codeBlocks(await read("docs/simulating.md"))).toEqual(examples);
});

test.each([
  "README.md",
  "docs/lab.md",
  "docs/architecture.md",
  "docs/state-machines.md",
  "docs/checking.md",
  "docs/key-value.md",
  "docs/simulating.md",
  "docs/benchmarks.md",
  "docs/versus.md",
])("every file that %s links to or names is there", async (page) => {
  const text = await read(page);
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path ?? "");
  const named = [...text.matchAll(/`((?:src|test|examples|docs)\/[\w./-]*)`/g)].map(([, path]) => path ?? "");
  const folders = new URL(page, ROOT);
  for (const link of links) await expect(stat(new URL(link, folders)), link).resolves.toBeDefined();
  for (const path of named) await expect(stat(new URL(path, ROOT)), path).resolves.toBeDefined();
});

test("every metric's name that a page gives is one that there is", async () => {
  const source = await read("src/actors/metrics.ts");
  for (const page of ["README.md", "docs/lab.md", "docs/architecture.md"]) {
    for (const [name] of (await read(page)).matchAll(/flotilla_\w+/g)) expect(source).toContain(`"${name}"`);
  }
});

test("docs/benchmarks.md names every benchmark, and none that there is not", async () => {
  const named = [...(await read("docs/benchmarks.md")).matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name);
  const { BENCHES } = await import("../src/cli/bench/benches.ts");
  expect(named).toEqual(BENCHES.map(({ name }) => name));
});

test("every benchmark can be run alone", async () => {
  const { BENCHES } = await import("../src/cli/bench/benches.ts");
  for (const { name } of BENCHES) expect(await read(`bench/${name}.ts`)).toContain(`await runAlone("${name}")`);
});
