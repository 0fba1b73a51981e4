import { writeSync } from "node:fs";
import { Load, sleep } from "../load.ts";
import { loadFlotilla } from "../script.ts";

// An app that puts load on a cluster until somebody ends it, or until it exits with code 7 by itself. Tells its parent
// on stdout, at once: "up"; "a <key> <number>" and "u <key> <number>" for a command that was acknowledged or whose
// outcome is unknown; "exiting".

/** The first argument, as JSON. */
export interface AppOptions {
  readonly directory: string;
  readonly name: string;
  readonly clients: number;
  readonly dist: boolean;
  /** When it calls `process.exit(7)`, in ms from the start of the cluster or from when that is up; default: never. */
  readonly exit?: { readonly from: "start" | "up"; readonly afterMs: number };
}

const say = (line: string) => writeSync(1, `${line}\n`);

const options: AppOptions = JSON.parse(process.argv[2] ?? "{}");
const { Supervisor } = await loadFlotilla(options.dist);

async function exitAfter(ms: number): Promise<never> {
  await sleep(ms);
  say("exiting");
  process.exit(7);
}

if (options.exit?.from === "start") void exitAfter(options.exit.afterMs);
const supervisor = await Supervisor.start({ directory: options.directory });
say("up");
if (options.exit?.from === "up") void exitAfter(options.exit.afterMs);
const load = new Load(supervisor, {
  name: options.name,
  clients: options.clients,
  onAcknowledged: (key, number) => say(`a ${key} ${number}`),
  onUnknown: (key, number) => say(`u ${key} ${number}`),
});
await load.stopped;
