import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { plant } from "./plant.ts";

/*
 * Plants known bugs, one at a time, and shows how many seeds the simulator needed to find each. One that is not found is
 * looked for once more, in seeds that last four times as long: some need a rare order of events. Exits with 1 when one
 * survives that too.
 *
 *     npx tsx test/mutants/run.ts [--seeds 2000] [--for 10000] [--at-once 2] [--only <pattern of names>]
 */
const { values: args } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    first: { type: "string", default: "1" },
    for: { type: "string", default: "10000" },
    "at-once": { type: "string", default: "2" },
    only: { type: "string", default: "" },
  },
});
/** How much longer seeds last for who was not found. */
const LONGER = 4;
const run = promisify(execFile);
const PLAY = fileURLToPath(new URL("play.ts", import.meta.url));
const TSX = import.meta.resolve("tsx");

interface Found {
  readonly seeds: number;
  readonly check: string;
  readonly message: string;
}

async function play(mutant: Mutant, at: number, forMs: number): Promise<Found | null> {
  const folder = join(temporary, String(at));
  plant(mutant, folder);
  const last = Number(args.first) + Number(args.seeds) - 1;
  const { stdout } = await run(process.execPath, [
    "--import",
    TSX,
    PLAY,
    folder,
    args.first,
    String(last),
    String(forMs),
  ]);
  rmSync(folder, { recursive: true });
  return JSON.parse(stdout) as Found | null;
}

const temporary = mkdtempSync(join(tmpdir(), "flotilla-mutants-"));
const seeds: number[] = [];
let survivors = 0;
try {
  const waiting = [...MUTANTS.filter(({ name }) => new RegExp(args.only).test(name)).entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [at, mutant] = next;
      const find = async () =>
        (await play(mutant, at, Number(args.for))) ?? (await play(mutant, at, LONGER * Number(args.for)));
      const found = await find().catch((error: unknown) => {
        console.error(`"${mutant.name}" cannot be played: ${String(error).slice(0, 1_000)}`);
        return null;
      });
      if (found === null) survivors++;
      else seeds.push(found.seeds);
      const outcome = found === null ? "SURVIVES" : `${String(found.seeds).padStart(4)}  ${found.check}`;
      console.log(`${mutant.name.padEnd(76)} ${outcome}`);
    }
  };
  await Promise.all(Array.from({ length: Number(args["at-once"]) }, work));
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
seeds.sort((one, other) => one - other);
console.log(
  `\n${seeds.length} of ${seeds.length + survivors} found; median ${seeds[seeds.length >>> 1] ?? "-"} seeds of ${args.for} ms (or of ${LONGER} times that), most ${seeds.at(-1) ?? "-"}`,
);
process.exitCode = survivors > 0 ? 1 : 0;
