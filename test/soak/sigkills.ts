import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/raft/random.ts";
import { startApp } from "./apps/start.ts";
import { audit, type History, sleep } from "./load.ts";
import { type Figures, loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const CLIENTS = 64;
/** A fresh directory now and then, since a start applies all that is in the log. */
const KILLS_PER_DIRECTORY = 5;

/** Beside each command, so that what is saved stands in value files; and these are given back and written over. */
const LONG = { ballastBytes: 16 << 10, snapshotEvery: 500 };
const LONGEST_MS = { short: 300, long: 1_500 };

/** Those with short commands, and then as many with long ones beside them. */
async function sigkillsOfBothKinds(options: SoakOptions): Promise<Figures> {
  const short = await sigkills(options);
  const long = await sigkills(options, "long");
  return { ...short, "with long ones beside them": long["acknowledged, and there"] };
}

/** Apps that are killed under load. Each opens the directory of the one before; in the end all that was acknowledged is there. */
export async function sigkills({ times, seed, dist }: SoakOptions, kind: "short" | "long" = "short") {
  const { Supervisor } = await loadFlotilla(dist);
  const random = seededRandom(seed);
  let acknowledged = 0;
  for (let done = 0; done < times; done += KILLS_PER_DIRECTORY) {
    const directory = mkdtempSync(join(tmpdir(), "flotilla-sigkills-"));
    const histories: History[] = [];
    try {
      for (let time = done + 1; time <= Math.min(times, done + KILLS_PER_DIRECTORY); time++) {
        const app = startApp({ directory, name: `kill${time}`, clients: CLIENTS, dist, ...(kind === "long" && LONG) });
        await app.busy;
        await sleep(random() * LONGEST_MS[kind]);
        app.process.kill("SIGKILL");
        const { signal, stderr } = await app.exited;
        if (signal !== "SIGKILL") throw new Error(`app ${time} of ${times} ended before it was killed: ${stderr}`);
        histories.push(...app.histories());
      }
      const supervisor = await Supervisor.start({ directory });
      await audit(supervisor, histories).finally(() => supervisor.stop());
    } finally {
      await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
    acknowledged += histories.reduce((sum, history) => sum + history.acknowledged.length, 0);
  }
  return { kills: times, "acknowledged, and there": acknowledged };
}

await runAsScript(import.meta, 100, sigkillsOfBothKinds);
