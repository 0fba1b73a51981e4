import { existsSync } from "node:fs";

/**
 * Runs one benchmark, as `flotilla bench <name>` does, with the rest of the command line; with `--dist` from the built
 * package (npm run build), whose threads start faster.
 */
export async function runAlone(name: string): Promise<void> {
  const args = process.argv.slice(2);
  const isBuilt = args.includes("--dist");
  const source = new URL(isBuilt ? "../dist/cli/commands.js" : "../src/cli/commands.ts", import.meta.url);
  if (isBuilt && !existsSync(source)) {
    console.error("--dist: there is no built package yet: npm run build");
    process.exitCode = 2;
    return;
  }
  const { flotilla } = (await import(source.href)) as typeof import("../src/cli/commands.ts");
  try {
    process.exitCode = await flotilla(["bench", name, ...args.filter((arg) => arg !== "--dist")]);
  } catch (error) {
    const isUsage = error instanceof Error && error.name === "UsageError";
    console.error(isUsage ? error.message : error);
    process.exitCode = isUsage ? 2 : 1;
  }
}
