import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyValueMap } from "../../src/machine/key-value.ts";
import { loadMachine } from "../../src/machine/load.ts";
import type { StateMachine } from "../../src/machine/state-machine.ts";

const run = promisify(execFile);
const COUNTER = new URL("./fixtures/counter.ts", import.meta.url);
const CONTEXT = { index: 1, term: 1, time: 0 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-load-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function moduleOf(name: string, source: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, source);
  return pathToFileURL(file).href;
}

async function expectFailure(href: string, message: string | RegExp, options?: unknown): Promise<Error> {
  const error: unknown = await loadMachine({ module: href, options }).catch((failure: unknown) => failure);
  expect(error).toMatchObject({
    name: "RaftError",
    code: "ERR_MACHINE_MODULE",
    message: expect.stringMatching(message),
  });
  expect((error as Error).message).toContain(href);
  return error as Error;
}

describe("loadMachine", () => {
  test("without a module makes the built-in map, a new one each time", async () => {
    const first = await loadMachine({ module: undefined });
    expect(first).toBeInstanceOf(KeyValueMap);
    expect(await loadMachine({ module: undefined })).not.toBe(first);
  });

  test("makes an instance of the default export with its options", async () => {
    const machine = (await loadMachine({ module: COUNTER.href, options: { from: 40 } })) as StateMachine;
    expect(machine.apply(2, CONTEXT)).toBe(42);
  });

  test("names a module that is missing, and keeps the cause", async () => {
    const error = await expectFailure(new URL("./fixtures/none.ts", import.meta.url).href, /cannot be loaded/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("keeps the cause of a module that throws while it is loaded", async () => {
    const href = await moduleOf("throws.mjs", 'throw new Error("no licence");');
    const error = await expectFailure(href, /cannot be loaded: .*: no licence$/);
    expect(error.cause).toMatchObject({ message: "no licence" });
  });

  test.each(["export class Machine {}", "export default { apply() {} };", "export default null;"])(
    "refuses a module without a default class: %s",
    async (source) => {
      await expectFailure(
        await moduleOf(`none-${source.length}.mjs`, source),
        /has no default export that is a class$/,
      );
    },
  );

  test("keeps what the constructor throws as the cause", async () => {
    const error = await expectFailure(COUNTER.href, /cannot be made: cannot count from NaN$/, { from: Number.NaN });
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  test("names the methods that an instance lacks", async () => {
    const href = await moduleOf("lacks.mjs", "export default class { apply() {} snapshot() {} }");
    await expectFailure(href, /has no method query, restore$/);
  });

  test("finds the class in a CommonJS module that was compiled from an ES module", async () => {
    const href = await moduleOf(
      "compiled.cjs",
      `Object.defineProperty(exports, "__esModule", { value: true });
       exports.default = class { apply() { return "cjs"; } query() {} snapshot() {} restore() {} };`,
    );
    expect(((await loadMachine({ module: href })) as StateMachine).apply(1, CONTEXT)).toBe("cjs");
  });
});

// As in the published package: the loader is JavaScript in a thread of its own, the machine is the user's TypeScript.
describe("loadMachine, compiled, in a thread", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const nativeTypes = Boolean((process.features as { typescript?: unknown }).typescript);

  beforeAll(async () => {
    const config = {
      extends: join(root, "tsconfig.build.json"),
      compilerOptions: {
        outDir: join(folder, "dist"),
        rootDir: join(root, "src"),
        typeRoots: [join(root, "node_modules/@types")],
      },
      files: [join(root, "src/machine/load.ts")],
      include: [],
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
    await writeFile(join(folder, "dist/package.json"), '{ "type": "module" }');
    await symlink(join(root, "node_modules"), join(folder, "dist/node_modules"), "junction");
    await writeFile(
      join(folder, "thread.mjs"),
      `import { parentPort, workerData } from "node:worker_threads";
       import { loadMachine } from "./dist/machine/load.js";
       const machine = await loadMachine({ module: workerData, options: { from: 40 } }).catch((error) => error);
       parentPort.postMessage(machine.message ?? machine.apply(2));`,
    );
    await writeFile(
      join(folder, "main.mjs"),
      `import { Worker } from "node:worker_threads";
       const worker = new Worker(new URL("./thread.mjs", import.meta.url), { workerData: process.argv[2] });
       worker.on("message", (message) => console.log(message));`,
    );
  });

  async function appWith(name: string, packageJson: string, tools: boolean): Promise<string> {
    const app = join(folder, name);
    await mkdir(app);
    await writeFile(join(app, "package.json"), packageJson);
    if (tools) await symlink(join(root, "node_modules"), join(app, "node_modules"), "junction");
    await copyFile(fileURLToPath(COUNTER), join(app, "counter.ts"));
    return pathToFileURL(join(app, "counter.ts")).href;
  }

  async function loadedBy(href: string, ...nodeOptions: string[]): Promise<string> {
    const { stdout } = await run(process.execPath, [...nodeOptions, join(folder, "main.mjs"), href]);
    return stdout.trim();
  }

  test.each([
    ["an ES module", "esm", '{ "type": "module" }'],
    ["CommonJS", "cjs", "{}"],
  ])(
    "loads TypeScript from a package that is %s, whether or not the app runs under tsx",
    async (_, name, packageJson) => {
      const href = await appWith(name, packageJson, true);
      expect(await loadedBy(href)).toBe("42");
      const tsx = pathToFileURL(join(root, "node_modules/tsx/dist/loader.mjs")).href;
      expect(await loadedBy(href, "--import", tsx)).toBe("42");
    },
  );

  test.skipIf(nativeTypes)("says what to do when there is no tsx for TypeScript", async () => {
    const href = await appWith("bare", '{ "type": "module" }', false);
    expect(await loadedBy(href)).toMatch(/is TypeScript, which Node .* cannot load by itself: .*install tsx beside it/);
  });
});
