import { Session } from "node:inspector/promises";
import { parseArgs } from "node:util";
import { KeyValueMap } from "../../src/machine/key-value.ts";
import { CRASH_POINTS, ROLES } from "../../src/testing/simulator/crash-points.ts";
import { drawPlan } from "../../src/testing/simulator/plan.ts";
import { runPlan } from "../../src/testing/simulator/run.ts";

/*
 * What the simulator alone reaches: of the branches of src/raft (blocks, as V8 counts them), and how often peers died at
 * each point in each role. It names what it does not reach.
 *
 *     npx tsx test/soak/simulated-coverage.ts [--seeds 1..300] [--for 20000]
 */
const { values: args } = parseArgs({
  options: { seeds: { type: "string", default: "1..300" }, for: { type: "string", default: "20000" } },
});
const [first = 1, last = first] = args.seeds.split("..").map(Number);

const session = new Session();
session.connect();
const sources = new Map<string, string>();
session.on("Debugger.scriptParsed", ({ params: { scriptId, url } }) => {
  if (/\/src\/raft\/[^/]+$/.test(url)) sources.set(scriptId, url);
});
await session.post("Debugger.enable");
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

const deaths = new Map<string, number>();
let failed = 0;
for (let seed = first; seed <= last; seed++) {
  const simulated = { createMachine: () => new KeyValueMap(), workload: undefined };
  const result = await runPlan(drawPlan(seed, { forMs: Number(args.for) }), simulated);
  if (result.violation !== undefined) {
    console.log(`seed ${seed}: ${result.violation.check}: ${result.violation.message}`);
    failed++;
  }
  for (const [key, count] of Object.entries(result.deaths)) deaths.set(key, (deaths.get(key) ?? 0) + count);
}

const { result: scripts } = await session.post("Profiler.takePreciseCoverage");
let all = 0;
let covered = 0;
for (const { scriptId, functions } of scripts) {
  const url = sources.get(scriptId);
  if (url === undefined) continue;
  const { scriptSource } = await session.post("Debugger.getScriptSource", { scriptId });
  const ranges = functions.flatMap((each) => each.ranges);
  const missed = ranges.filter(({ count }) => count === 0);
  all += ranges.length;
  covered += ranges.length - missed.length;
  const part = `${ranges.length - missed.length} of ${ranges.length}`;
  console.log(`${url.slice(url.lastIndexOf("/") + 1).padEnd(20)} ${part}`);
  for (const { startOffset, endOffset } of missed) {
    console.log(`    ${scriptSource.slice(startOffset, endOffset).replaceAll(/\s+/g, " ").slice(0, 110)}`);
  }
}
console.log(`branches of src/raft: ${covered} of ${all}, ${((100 * covered) / all).toFixed(1)} %\n`);

console.log(`${"died".padEnd(28)}${ROLES.map((role) => role.padStart(15)).join("")}`);
for (const point of [...CRASH_POINTS, "disk"]) {
  console.log(
    point.padEnd(28) + ROLES.map((role) => String(deaths.get(`${point} / ${role}`) ?? 0).padStart(15)).join(""),
  );
}
process.exitCode = failed > 0 ? 1 : 0;
