import { join } from "node:path";
import { pathToFileURL } from "node:url";

/*
 * Plays seeds with the simulator of a copy of the source until something does not hold.
 *
 *     node --import tsx test/mutants/play.ts <folder> <first seed> <last seed> <milliseconds>
 */
const [folder = "", first = "1", last = "1", forMs = "10000"] = process.argv.slice(2);
const load = async <Module>(file: string): Promise<Module> => await import(pathToFileURL(join(folder, file)).href);

const { KeyValueMap } = await load<typeof import("../../src/machine/key-value.ts")>("src/machine/key-value.ts");
const { drawPlan } = await load<typeof import("../../src/testing/simulator/plan.ts")>("src/testing/simulator/plan.ts");
const { runPlan } = await load<typeof import("../../src/testing/simulator/run.ts")>("src/testing/simulator/run.ts");

let found: { seeds: number; check: string; message: string } | undefined;
for (let seed = Number(first); seed <= Number(last) && found === undefined; seed++) {
  const simulated = { createMachine: () => new KeyValueMap(), workload: undefined };
  const { violation } = await runPlan(drawPlan(seed, { forMs: Number(forMs) }), simulated);
  if (violation !== undefined) found = { ...violation, seeds: seed - Number(first) + 1 };
}
process.stdout.write(`${JSON.stringify(found ?? null)}\n`);
