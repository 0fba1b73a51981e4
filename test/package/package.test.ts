import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LONG_MS = 120_000;
const run = promisify(execFile);

/** A project that has installed the package as it would be published; its other packages are those of this one. */
let project: string;
let temporary: string;

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), "flotilla-package-test-"));
  project = join(temporary, "project");
  const staged = join(temporary, "staged");
  await mkdir(staged);
  for (const file of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "docs"])
    await cp(join(ROOT, file), join(staged, file), { recursive: true });
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  await run(tsc, ["-p", join(ROOT, "tsconfig.build.json"), "--outDir", join(staged, "dist")], { cwd: ROOT });
  await run("npm", ["pack", "--ignore-scripts", "--offline", "--pack-destination", temporary], { cwd: staged });
  const tarball = (await readdir(temporary)).find((name) => name.endsWith(".tgz")) ?? "";

  const modules = join(project, "node_modules");
  await mkdir(join(modules, "flotilla"), { recursive: true });
  await run("tar", ["-xzf", join(temporary, tarball), "-C", join(modules, "flotilla"), "--strip-components=1"]);
  const { dependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  for (const name of [...Object.keys(dependencies), "tsx", "@types"]) {
    await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
}, LONG_MS);

afterAll(async () => {
  await rm(temporary, { recursive: true, force: true });
});

/** Runs a program in the project. @returns what it printed. */
async function node(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, args, { cwd: project });
  expect(stderr).toBe("");
  return stdout;
}

describe("the package", { timeout: LONG_MS }, () => {
  test("holds what it needs and no more: no sources, no tests", async () => {
    const packed = join(project, "node_modules/flotilla");
    expect((await readdir(packed)).sort()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "docs",
      "package.json",
    ]);
    const files = await readdir(join(packed, "dist"), { recursive: true });
    expect(files.filter((file) => /\.\w+$/.test(file) && !/\.(js|d\.ts|js\.map)$/.test(file))).toEqual([]);
  });

  test("can be imported by every name that it exports", async () => {
    const { exports } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    const names = Object.keys(exports).filter((name) => name !== "./package.json");
    expect(names).toEqual([".", "./raft", "./storage", "./kv", "./testing"]);
    const imports = names.map(
      (name) => `import * as m${names.indexOf(name)} from ${JSON.stringify(name.replace(".", "flotilla"))};`,
    );
    const prints = names.map((_, at) => `console.log(Object.keys(m${at}).join(" "));`);
    await writeFile(join(project, "imports.js"), [...imports, ...prints].join("\n"));
    const [main, raft, storage, kv, testing] = (await node("imports.js")).trim().split("\n");
    expect(main?.split(" ")).toEqual([
      "KeyValueMap",
      "Peer",
      "RaftError",
      "Session",
      "Supervisor",
      "durableKeyValueMap",
    ]);
    expect(raft).toContain("Raft");
    expect(storage).toContain("LmdbStore");
    expect(kv).toBe("KvClient");
    expect(testing).toContain("spawnCluster");
  });

  test("measures, in threads and processes of its own, with what it brings along", async () => {
    const program = "node_modules/flotilla/dist/cli/main.js";
    const size = ["--peers", "1", "--outstanding", "1", "--seconds", "0.05", "--warm-up", "0.05", "--runs", "1"];
    const { stdout } = await run(process.execPath, [program, "bench", "limit", "start", ...size], { cwd: project });
    expect(stdout).toMatch(/bare pipeline .*\nbare pipeline, journal .*\n +flotilla /);
    expect(stdout).toMatch(/first commit ms.*\nflotilla +built +new .*\nflotilla +built +used /);
    expect(stdout).not.toContain("not run");
  });

  test("runs the README's first example, in plain JavaScript", async () => {
    const example = await readFile(join(ROOT, "examples/quickstart.ts"), "utf8");
    await writeFile(join(project, "quickstart.js"), example);
    expect(await node("quickstart.js")).toMatch(
      /^committed at index \d+ in term \d+\nkilled p\d, the leader\nthe new leader says hello\n$/,
    );
  });

  test("runs a state machine in plain JavaScript", async () => {
    await writeFile(
      join(project, "words.js"),
      `export default class Words {
        #words;
        constructor({ first }) { this.#words = [first]; }
        apply({ word }, { index, term }) { this.#words.push(word); return { index, term }; }
        query() { return this.#words.join(" "); }
        snapshot() { return new TextEncoder().encode(JSON.stringify(this.#words)); }
        restore(chunks) { this.#words = JSON.parse(new TextDecoder().decode(Buffer.concat([...chunks]))); }
      }`,
    );
    await writeFile(
      join(project, "words-app.js"),
      `import { Supervisor } from "flotilla";
      const machine = { module: new URL("./words.js", import.meta.url), options: { first: "so" } };
      const supervisor = await Supervisor.start({ peers: 3, machine });
      try {
        const { index, term, result } = await supervisor.propose({ word: "said" });
        console.log(result.index === index && result.term === term);
        console.log(await supervisor.query(null));
      } finally {
        await supervisor.stop();
      }`,
    );
    expect(await node("words-app.js")).toBe("true\nso said\n");
  });

  test("runs a state machine in TypeScript when the app runs under tsx", async () => {
    for (const name of ["counter.ts", "counter-machine.ts"])
      await cp(join(ROOT, "examples", name), join(project, name));
    expect(await node("--import", "tsx", "counter.ts")).toBe(
      "added 1, which makes 1\nadded 2, which makes 3\nadded 3, which makes 6\nthe total is 6\n",
    );
  });

  test("runs the README's example of a test", async () => {
    await writeFile(join(project, "leader-lost.js"), await readFile(join(ROOT, "examples/leader-lost.ts"), "utf8"));
    expect(await node("leader-lost.js")).toBe("true 3\n");
  });

  test("checks a history in threads", async () => {
    await writeFile(
      join(project, "check.js"),
      `import { checkLinearizable, registerModel } from "flotilla/testing";
      const write = { client: 1, input: { op: "write", value: 1 }, call: 0, return: 1, outcome: "ok" };
      const read = (output) => ({ client: 1, input: { op: "read" }, output, call: 2, return: 3, outcome: "ok" });
      for (const output of [1, 2]) {
        console.log((await checkLinearizable([write, read(output)], registerModel, { threads: 1 })).verdict);
      }`,
    );
    expect(await node("check.js")).toBe("ok\nillegal\n");
  });

  test("brings types that a strict project can use", async () => {
    const strict = {
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "esnext.disposable"],
        module: "nodenext",
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        allowImportingTsExtensions: true,
        skipLibCheck: false,
        types: ["node"],
      },
      files: ["counter.ts", "counter-machine.ts", "types.ts"],
    };
    for (const name of ["counter.ts", "counter-machine.ts"])
      await cp(join(ROOT, "examples", name), join(project, name));
    await writeFile(
      join(project, "types.ts"),
      `import { type ClusterEvent, type KeyValueCommand, RaftError, type Supervisor } from "flotilla";
      import { Raft } from "flotilla/raft";
      import { LmdbStore } from "flotilla/storage";
      import { spawnCluster } from "flotilla/testing";
      export const known: readonly unknown[] = [Raft, LmdbStore, spawnCluster];
      export async function use(supervisor: Supervisor, event: ClusterEvent): Promise<string> {
        const command: KeyValueCommand = { op: "put", key: "k", value: 1 };
        const { result } = await supervisor.propose<boolean>(command);
        // @ts-expect-error: results have the type that was asked for
        const text: string = result;
        return event.type === "crash" && event.error instanceof RaftError ? event.error.code : text;
      }`,
    );
    await writeFile(join(project, "tsconfig.json"), JSON.stringify(strict));
    const { stdout } = await run(join(ROOT, "node_modules/.bin/tsc"), ["-p", project], { cwd: project }).catch(
      (error) => error,
    );
    expect(stdout).toBe("");
  });

  test("has a command that runs, and goes on with a directory of an earlier run", async () => {
    const { bin, version } = JSON.parse(await readFile(join(project, "node_modules/flotilla/package.json"), "utf8"));
    const main = join(project, "node_modules/flotilla", bin.flotilla);
    expect(await readFile(main, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(await node(main, "--version")).toBe(`${version}\n`);
    const directory = join(temporary, "demo");
    for (let runs = 0; runs < 2; runs++) {
      expect(await node(main, "demo", "--seconds", "1", "--directory", directory)).toMatch(/PASSED\n$/);
    }
  });
});
