import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The URL of the folder in which the threads and processes that tests start are compiled; it ends with a slash. */
    readonly built: string;
  }
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Compiles the source once, before the tests, for this run alone: another may go on beside it. @returns what takes it away again. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = new URL(`../../.test-build/${process.pid}/`, import.meta.url);
  const outDir = fileURLToPath(built);
  await rm(outDir, { recursive: true, force: true });
  await promisify(execFile)("node_modules/.bin/tsc", ["-p", "tsconfig.build.json", "--outDir", outDir], { cwd: ROOT });
  project.provide("built", built.href);
  return () => rm(outDir, { recursive: true, force: true });
}
