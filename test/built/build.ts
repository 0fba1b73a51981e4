import { execFile } from "node:child_process";
import { cp, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The URL of the folder in which what tests start as threads and processes is compiled; it ends with a slash. */
    readonly built: string;
  }
}

const ROOT = new URL("../../", import.meta.url);

/** Gives the package's name the meaning of what was compiled, to whom tsx runs with this tsconfig. */
const PATHS = { flotilla: ["./src/index.js"], "flotilla/kv": ["./src/kv.js"], "flotilla/*": ["./src/*/index.js"] };

/** Compiles the source once, before the tests, for this run alone: another may go on beside it. @returns what takes it away again. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = new URL(`.test-build/${process.pid}/`, ROOT);
  const outDir = fileURLToPath(built);
  const config = fileURLToPath(new URL("tsconfig.json", import.meta.url));
  await rm(outDir, { recursive: true, force: true });
  await promisify(execFile)("node_modules/.bin/tsc", ["-p", config, "--outDir", outDir], { cwd: ROOT });
  // The command reads its version there.
  await cp(new URL("package.json", ROOT), new URL("package.json", built));
  await writeFile(new URL("tsconfig.json", built), JSON.stringify({ compilerOptions: { paths: PATHS } }));
  project.provide("built", built.href);
  return () => rm(outDir, { recursive: true, force: true });
}
