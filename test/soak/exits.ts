import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/raft/random.ts";
import { startApp } from "./apps/start.ts";
import { distribution } from "./figures.ts";
import { runAsScript, type SoakOptions } from "./script.ts";

const LIMIT_MS = 2_000;
const CLIENTS = 64;

/**
 * Apps that call `process.exit(7)` under load, one in five while its cluster starts: the code is 7, and it is soon.
 * @param limitMs what soon is; a test only asks that it does not hang.
 */
export async function exits({ times, seed, dist }: SoakOptions, limitMs = LIMIT_MS) {
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(tmpdir(), "flotilla-exits-"));
  const took: number[] = [];
  let acknowledged = 0;
  try {
    for (let time = 1; time <= times; time++) {
      const exit =
        time % 5 === 0
          ? ({ from: "start", afterMs: random() * 400 } as const)
          : ({ from: "load", afterMs: random() * 300 } as const);
      const app = startApp({ directory, name: `exit${time}`, clients: CLIENTS, dist, exit });
      app.busy.catch(() => {});
      const { code, signal, tookMs, stderr } = await app.exited;
      if (code !== 7) throw new Error(`app ${time} of ${times} ended with ${code ?? signal}: ${stderr}`);
      if (!(tookMs < limitMs)) throw new Error(`app ${time} of ${times} took ${tookMs} ms`);
      took.push(tookMs);
      acknowledged += app.histories().reduce((sum, history) => sum + history.acknowledged.length, 0);
    }
  } finally {
    // A process that was reading a store for the last app may end a moment after it.
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
  return { exits: times, acknowledged, "process.exit to the end of the process": distribution(took) };
}

await runAsScript(import.meta, 100, (options) => exits(options));
