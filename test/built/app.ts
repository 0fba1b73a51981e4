import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** Takes the place of test/soak/apps/program.ts. */
export function underLoad(): readonly string[] {
  return [fileURLToPath(new URL("test/soak/apps/under-load.js", inject("built")))];
}

export function supervisorKiller(): URL {
  return new URL("test/soak/apps/supervisor-killer.js", inject("built"));
}
