/**
 * Runs one benchmark, as `flotilla bench <name>` does, with the rest of the command line; with `--dist` from the built
 * package (npm run build), whose threads start faster.
 */
export async function runAlone(name: string): Promise<void> {
  const args = process.argv.slice(2);
  const isBuilt = args.includes("--dist");
  const source = new URL(isBuilt ? "../dist/cli/commands.js" : "../src/cli/commands.ts", import.meta.url);
  const { flotilla } = (await import(source.href)) as typeof import("../src/cli/commands.ts");
  try {
    process.exitCode = await flotilla(["bench", name, ...args.filter((arg) => arg !== "--dist")]);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
