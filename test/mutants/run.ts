import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { plant } from "./plant.ts";

/*
 * Plants known bugs, one at a time, and shows how many seeds the simulator needed to find each. Exits with 1 when one
 * survives.
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
const run = promisify(execFile);
const PLAY = fileURLToPath(new URL("play.ts", import.meta.url));
const TSX = import.meta.resolve("tsx");

interface Found {
  readonly seeds: number;
  readonly check: string;
  readonly message: string;
}

async function play(mutant: Mutant, at: number): Promise<Found | null> {
  const folder = join(temporary, String(at));
  plant(mutant, folder);
  const last = Number(args.first) + Number(args.seeds) - 1;
  const { stdout } = await run(process.execPath, ["--import", TSX, PLAY, folder, args.first, String(last), args.for]);
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
      const found = await play(mutant, at).catch((error: unknown) => {
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
  `\n${seeds.length} of ${seeds.length + survivors} found; median ${seeds[seeds.length >>> 1] ?? "-"} seeds of ${args.for} ms, most ${seeds.at(-1) ?? "-"}`,
);
process.exitCode = survivors > 0 ? 1 : 0;
