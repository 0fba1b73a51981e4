import { fileURLToPath } from "node:url";

/** What `node` is to run for an app under load. */
export function underLoad(): readonly string[] {
  return ["--import", import.meta.resolve("tsx"), fileURLToPath(new URL("./under-load.ts", import.meta.url))];
}

/** The module of a machine that can kill the supervisor's thread. */
export function supervisorKiller(): URL {
  return new URL("./supervisor-killer.ts", import.meta.url);
}
