import { Session } from "node:inspector/promises";
import { parseArgs } from "node:util";
import { KeyValueMap } from "../../src/machine/key-value.ts";
import { CRASH_POINTS, type CrashPoint, ROLES, rolesAt } from "../../src/testing/simulator/crash-points.ts";
import { drawPlan } from "../../src/testing/simulator/plan.ts";
import { runPlan } from "../../src/testing/simulator/run.ts";

/*
 * What the simulator alone reaches: of the branches of src/raft (blocks, as V8 counts them), and how often peers died at
 * each point in each role. It names what it does not reach.
 *
 *     npx tsx test/soak/simulated-coverage.ts [--seeds 1..500] [--for 20000]
 */
const { values: args } = parseArgs({
  options: { seeds: { type: "string", default: "1..500" }, for: { type: "string", default: "20000" } },
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
  const textOf = ({ startOffset, endOffset }: { startOffset: number; endOffset: number }) =>
    scriptSource.slice(startOffset, endOffset).replaceAll(/\s+/g, " ");
  const ranges = functions.flatMap((each) => each.ranges).filter((range) => !isUnreachable(textOf(range)));
  const missed = ranges.filter(({ count }) => count === 0);
  all += ranges.length;
  covered += ranges.length - missed.length;
  const part = `${ranges.length - missed.length} of ${ranges.length}`;
  console.log(`${url.slice(url.lastIndexOf("/") + 1).padEnd(20)} ${part}`);
  for (const range of missed) console.log(`    ${textOf(range).slice(0, 110)}`);
}
/**
 * What no sound run reaches: the message of an invariant, what stands where the type checker sees an index that may not be
 * there, the ends of `switch` that are never reached; and what tsx adds.
 */
function isUnreachable(text: string): boolean {
  return /^(\(\) ?=> ?["`]|throw new InvariantError|\?\? ?|\?\.|static ?\{ ?__name|default: ?message)/.test(text);
}

console.log(`branches of src/raft: ${covered} of ${all}, ${((100 * covered) / all).toFixed(1)} %\n`);

const unmet: string[] = [];
console.log(`${"died".padEnd(28)}${ROLES.map((role) => role.padStart(15)).join("")}`);
for (const point of [...CRASH_POINTS, "disk"]) {
  console.log(
    point.padEnd(28) +
      ROLES.map((role) => {
        const count = deaths.get(`${point} / ${role}`) ?? 0;
        const canBe = point === "disk" || rolesAt(point as CrashPoint).includes(role);
        if (canBe && count === 0) unmet.push(`${point} / ${role}`);
        return (count > 0 || canBe ? String(count) : "-").padStart(15);
      }).join(""),
  );
}
console.log(unmet.length === 0 ? "\nsomebody died in each role at each point" : `\nnobody died: ${unmet.join(", ")}`);
process.exitCode = failed > 0 ? 1 : 0;
