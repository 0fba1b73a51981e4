import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { flipBits } from "../storage/fixtures/flip-bits.ts";
import { sleep, until } from "./load.ts";
import { type Figures, loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const PATIENT = { timeoutMs: 60_000 };
const LOCAL = { consistency: "local", ...PATIENT } as const;
const FLIPS = [5, 20, 200];
const KEYS = 40;
/** After the first start; enough that snapshots are taken, and pages that were free are used again. */
const ROUNDS = 6;
const OPTIONS = { peers: 3, snapshotEvery: 60 };

/**
 * Stores with flipped bits, one of three at a time: the app lives, the majority goes on, and whatever is answered is
 * what was acknowledged, by the peer with the bad store too, if it is still there.
 * @param flips how many bits a store gets; each of these `times` times.
 */
export async function flippedBits({ times, seed, dist }: SoakOptions, flips = FLIPS): Promise<Figures> {
  const { Supervisor } = await loadFlotilla(dist);
  const root = mkdtempSync(join(tmpdir(), "flotilla-flipped-bits-"));
  const figures: Record<string, string> = {};
  try {
    const original = join(root, "original");
    const values = new Map<string, string>();
    await withSupervisor(Supervisor, original, async (supervisor) => {
      for (let round = 0; round < ROUNDS; round++) await write(supervisor, values, `first ${round}`);
    });
    for (const count of flips) {
      const ends: Record<string, number> = { "given up at the start": 0, "given up later": 0, sound: 0 };
      for (let time = 1; time <= times; time++) {
        const directory = join(root, `${count}-${time}`);
        cpSync(original, directory, { recursive: true });
        const victim = `p${1 + (time % 3)}`;
        flipBits(join(directory, victim, "data.mdb"), count, seed * 1_000_000 + count * 1_000 + time);
        const end = await withSupervisor(Supervisor, directory, (supervisor) =>
          goOn(supervisor, victim, new Map(values)),
        ).catch((error: unknown) => {
          throw new Error(`store ${time} with ${count} flipped bits, seed ${seed}`, { cause: error });
        });
        ends[end] = (ends[end] ?? 0) + 1;
        rmSync(directory, { recursive: true });
      }
      figures[`stores with ${count} flipped bits`] = Object.entries(ends)
        .map(([end, sum]) => `${sum} ${end}`)
        .join(", ");
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return figures;
}

async function withSupervisor<Result>(
  start: { start(options: object): Promise<Supervisor> },
  directory: string,
  use: (supervisor: Supervisor) => Promise<Result>,
): Promise<Result> {
  const supervisor = await start.start({ ...OPTIONS, directory });
  try {
    return await use(supervisor);
  } finally {
    await supervisor.stop();
  }
}

/** Puts a new value under every key, and notes what is acknowledged. */
async function write(supervisor: Supervisor, values: Map<string, string>, name: string): Promise<number> {
  const indices = await Promise.all(
    Array.from({ length: KEYS }, async (_, number) => {
      const [key, value] = [`key ${number}`, `${name} ${"x".repeat(number * 20)}`];
      // Spread over a few batches.
      await sleep(number % 5);
      const { index } = await supervisor.propose({ op: "put", key, value }, PATIENT);
      values.set(key, value);
      return index;
    }),
  );
  return Math.max(...indices);
}

async function goOn(supervisor: Supervisor, victim: string, values: Map<string, string>): Promise<string> {
  const peer = supervisor.peer(victim);
  const settled = async () => ["up", "given-up"].includes((await peer.status()).state);
  await check(supervisor, values);
  await until(`${victim} is up or given up`, settled);
  const atStart = (await peer.status()).state;
  for (let round = 0; round < ROUNDS; round++) {
    const index = await write(supervisor, values, `then ${round}`);
    await check(supervisor, values);
    await until(`${victim} has caught up or is given up`, async () => {
      const { state, lastApplied } = await peer.status();
      return state === "given-up" || (state === "up" && lastApplied >= index);
    });
    if ((await peer.status()).state === "up") await check(supervisor, values, victim);
  }
  const { state } = await peer.status();
  if (state === "up") return "sound";
  return atStart === "up" ? "given up later" : "given up at the start";
}

/** @param id whom to ask; the cluster by default. */
async function check(supervisor: Supervisor, values: ReadonlyMap<string, string>, id?: string): Promise<void> {
  for (const [key, value] of values) {
    const query = { op: "get", key };
    const answer = id === undefined ? supervisor.query(query, PATIENT) : supervisor.peer(id).query(query, LOCAL);
    const found = await answer;
    if (found !== value) throw new Error(`${id ?? "the cluster"} says ${String(found)} of ${key}, expected ${value}`);
  }
}

await runAsScript(import.meta, 40, flippedBits);
