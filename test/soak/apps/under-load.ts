import { writeSync } from "node:fs";
import { Load, sleep } from "../load.ts";
import { loadFlotilla } from "../script.ts";

// An app that puts load on a cluster until somebody ends it, or until it exits with code 7 by itself. Tells its parent
// on stdout, at once: "a <key> <number>" and "u <key> <number>" for a command that was acknowledged or whose
// outcome is unknown; "exiting".

/** The first argument, as JSON. */
export interface AppOptions {
  readonly directory: string;
  readonly name: string;
  readonly clients: number;
  readonly dist: boolean;
  /** See `LoadOptions`. Default 0. */
  readonly ballastBytes?: number;
  /** See `SupervisorOptions`. */
  readonly snapshotEvery?: number;
  /** When it calls `process.exit(7)`, in ms from the start of the cluster or from the first acknowledgement; default: never. */
  readonly exit?: { readonly from: "start" | "load"; readonly afterMs: number };
}

/** At once also when the pipe is full for a moment, which is an error: a parent that is busy reads later. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      Atomics.wait(PAUSE, 0, 0, 1);
    }
  }
}
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

const options: AppOptions = JSON.parse(process.argv[2] ?? "{}");
const { Supervisor } = await loadFlotilla(options.dist);

async function exitAfter(ms: number): Promise<never> {
  await sleep(ms);
  say("exiting");
  process.exit(7);
}

if (options.exit?.from === "start") void exitAfter(options.exit.afterMs);
const supervisor = await Supervisor.start({ directory: options.directory, snapshotEvery: options.snapshotEvery });
let isExiting = false;
const load = new Load(supervisor, {
  name: options.name,
  clients: options.clients,
  ballastBytes: options.ballastBytes ?? 0,
  onAcknowledged: (key, number) => {
    say(`a ${key} ${number}`);
    if (options.exit?.from !== "load" || isExiting) return;
    isExiting = true;
    void exitAfter(options.exit.afterMs);
  },
  onUnknown: (key, number) => say(`u ${key} ${number}`),
});
await load.stopped;
