import type { Supervisor } from "../../actors/supervisor.ts";
import type { BenchContext } from "./bench.ts";

/** What an entry of a map takes in a snapshot beside its value, about. */
export const MAP_ENTRY_BYTES = 20;
/** How much is under way at a time. */
const AT_ONCE_BYTES = 8 << 20;
const MOST_AT_ONCE = 4_000;
const PATIENT = { timeoutMs: 120_000 };

/** What is written: values of `bytes` under the keys from `from` on, `keys` different ones, again and again if there are more commands. */
export interface Filling {
  readonly keys: number;
  readonly bytes: number;
  /** Default: as many as there are keys. */
  readonly commands?: number;
}

/** Writes a state, or a log, as fast as it goes; values are not the same, or they would be one string in memory. */
export async function fill(context: BenchContext, supervisor: Supervisor, filling: Filling): Promise<void> {
  const { keys, bytes, commands = keys } = filling;
  const tail = "0123456789abcdef".repeat(Math.ceil(bytes / 16)).slice(0, Math.max(0, bytes - 8));
  let next = 0;
  const client = async () => {
    while (next < commands) {
      context.signal.throwIfAborted();
      const at = next++;
      const value = (at.toString(36).padStart(8, "0") + tail).slice(0, bytes);
      // One that is lost in an election is one value less.
      await supervisor.propose({ op: "put", key: `key${at % keys}`, value }, PATIENT).catch(() => {});
    }
  };
  const clients = Math.max(1, Math.min(MOST_AT_ONCE, Math.floor(AT_ONCE_BYTES / bytes)));
  await Promise.all(Array.from({ length: clients }, client));
}
