import { setTimeout as sleep } from "node:timers/promises";
import type { Supervisor } from "../../actors/supervisor.ts";
import type { BenchContext } from "./bench.ts";

/** What an entry of a map takes in a snapshot beside its value, about. */
export const MAP_ENTRY_BYTES = 20;
/** How much is under way at a time. */
const AT_ONCE_BYTES = 8 << 20;
const MOST_AT_ONCE = 4_000;
const PATIENT = { timeoutMs: 120_000 };
/** Before a command that has failed is tried again. */
const PAUSE_MS = 10;

/** What is written: values of `bytes` under the keys from `from` on, `keys` different ones, again and again if there are more commands. */
export interface Filling {
  readonly keys: number;
  readonly bytes: number;
  /** Default: as many as there are keys. */
  readonly commands?: number;
}

/** How often a command may fail before the cluster is given up. */
const MOST_ATTEMPTS = 10;

/**
 * Writes a state, or a log, as fast as it goes; values are not the same, or they would be one string in memory. What is lost
 * in an election is written again.
 * @throws what a command failed with that fails again and again: of half a state nothing is to be measured.
 */
export async function fill(
  context: Pick<BenchContext, "signal">,
  supervisor: Pick<Supervisor, "propose">,
  filling: Filling,
): Promise<void> {
  const { keys, bytes, commands = keys } = filling;
  const tail = "0123456789abcdef".repeat(Math.ceil(bytes / 16)).slice(0, Math.max(0, bytes - 8));
  let next = 0;
  const write = async (at: number) => {
    const value = (at.toString(36).padStart(8, "0") + tail).slice(0, bytes);
    for (let attempt = 1; ; attempt++) {
      context.signal.throwIfAborted();
      try {
        await supervisor.propose({ op: "put", key: `key${at % keys}`, value }, PATIENT);
        return;
      } catch (error) {
        if (attempt === MOST_ATTEMPTS) throw error;
        await sleep(PAUSE_MS);
      }
    }
  };
  const client = async () => {
    while (next < commands) await write(next++);
  };
  const clients = Math.max(1, Math.min(MOST_AT_ONCE, Math.floor(AT_ONCE_BYTES / bytes)));
  await Promise.all(Array.from({ length: clients }, client));
}
