import { Load, sleep, until } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const BLOCKED_MS = 3_000;

/**
 * Blocks the app's thread for seconds under load: nobody is elected meanwhile, and no command fails for it.
 * @param electionMs longer ones tell apart a busy machine from a cluster that hangs on the app.
 */
export async function blockedApp({ times, seed, dist }: SoakOptions, electionMs?: readonly [number, number]) {
  const { Supervisor } = await loadFlotilla(dist);
  const supervisor = await Supervisor.start({ seed, electionMs });
  const load = new Load(supervisor, { name: "blocked", clients: 64 });
  try {
    await until("the load has begun", () => load.acknowledged > 1_000);
    const who = async () => {
      const leader = await supervisor.leader();
      return `${leader.id} in term ${(await leader.status()).currentTerm}`;
    };
    const before = await who();
    for (let time = 0; time < times; time++) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
      const acknowledged = load.acknowledged;
      await until("the load goes on", () => load.acknowledged > acknowledged + 1_000);
      await sleep(200);
      const after = await who();
      if (after !== before) throw new Error(`the leader was ${before}, and is ${after} after a pause of the app`);
    }
    await load.stop();
    const { unknown } = load;
    if (unknown > 0) throw new Error(`${unknown} commands of unknown outcome`);
    return { "pauses of 3 s": times, "leader all along": before, acknowledged: load.acknowledged };
  } finally {
    await supervisor.stop();
  }
}

await runAsScript(import.meta, 3, (options) => blockedApp(options));
