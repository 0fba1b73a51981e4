import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where the threads and processes that tests start are compiled to. */
export const BUILT = new URL("../../.test-build/", import.meta.url);

/** Compiles the source once, before the tests. @returns what takes it away again. */
export async function setup(): Promise<() => Promise<void>> {
  const outDir = fileURLToPath(BUILT);
  await rm(outDir, { recursive: true, force: true });
  await promisify(execFile)("node_modules/.bin/tsc", ["-p", "tsconfig.build.json", "--outDir", outDir], { cwd: ROOT });
  return () => rm(outDir, { recursive: true, force: true });
}
