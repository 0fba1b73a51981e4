import { fileURLToPath } from "node:url";
import { BUILT } from "./build.ts";

/** Takes the place of src/storage/reading-program.ts. */
export function readingProgram() {
  return { module: fileURLToPath(new URL("storage/reading-process.js", BUILT)), execArgv: [] };
}
