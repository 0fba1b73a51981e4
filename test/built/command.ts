import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** What `node` is to run for the command `flotilla`, as it is built. */
export function command(): string {
  return fileURLToPath(new URL("src/cli/main.js", inject("built")));
}
