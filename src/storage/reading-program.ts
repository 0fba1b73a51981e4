import { fileURLToPath } from "node:url";

const isSource = import.meta.url.endsWith(".ts");

/** The module of the process that reads a store, and what Node needs to run it: `.ts` under tsx and vitest, or `.js`. */
export function readingProgram(): { readonly module: string; readonly execArgv: string[] } {
  const module = fileURLToPath(new URL(`./reading-process.${isSource ? "ts" : "js"}`, import.meta.url));
  const isPlain = !isSource || "typescript" in process.features;
  return { module, execArgv: isPlain ? [] : ["--import", import.meta.resolve("tsx")] };
}
