import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** Takes the place of src/storage/reading-program.ts. */
export function readingProgram() {
  return { module: fileURLToPath(new URL("src/storage/reading-process.js", inject("built"))), execArgv: [] };
}
