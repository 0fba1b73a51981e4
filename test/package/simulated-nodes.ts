import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

/*
 * Plays the same seeds of the simulator under several versions of Node, which npm brings, and compares the hashes of all
 * that happened: a failure that was found with one version must be there with another. It needs a registry, so it is no
 * part of the tests; exits with 1 when a seed comes to something else.
 *
 *     npx tsx test/package/simulated-nodes.ts [--node 20.20,22,24] [--seeds 40] [--for 10000]
 */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { values: args } = parseArgs({
  options: {
    node: { type: "string", default: "20.20,22,24" },
    seeds: { type: "string", default: "40" },
    for: { type: "string", default: "10000" },
  },
});
const run = promisify(execFile);

const PROGRAM = `
import { KeyValueMap } from "${ROOT}dist/machine/key-value.js";
import { drawPlan } from "${ROOT}dist/testing/simulator/plan.js";
import { runPlan } from "${ROOT}dist/testing/simulator/run.js";
const hashes = [];
for (let seed = 1; seed <= ${Number(args.seeds)}; seed++) {
  const plan = drawPlan(seed, { forMs: ${Number(args.for)} });
  const { hash, turns, violation } = await runPlan(plan, { createMachine: () => new KeyValueMap() });
  hashes.push([hash, turns, violation?.message ?? "ok"].join(" "));
}
console.log(JSON.stringify(hashes));
`;

const temporary = await mkdtemp(join(tmpdir(), "flotilla-nodes-"));
try {
  await run("npm", ["run", "build"], { cwd: ROOT });
  const played: { readonly version: string; readonly hashes: readonly string[] }[] = [];
  for (const version of args.node.split(",")) played.push({ version, hashes: await play(version) });
  const [first, ...others] = played;
  for (const { version, hashes } of others) {
    const different = hashes.flatMap((hash, at) => (hash === first?.hashes[at] ? [] : [at + 1]));
    if (different.length > 0) process.exitCode = 1;
    const what = different.length === 0 ? "the same as" : `seeds ${different.join(", ")} are different from`;
    console.log(`Node ${version}: ${hashes.length} seeds, ${what} Node ${first?.version}`);
  }
} finally {
  await rm(temporary, { recursive: true, force: true });
}

/** @returns what each seed came to. */
async function play(version: string): Promise<readonly string[]> {
  const project = join(temporary, `node-${version}`);
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(project, "play.js"), PROGRAM);
  // The package "node" would fetch this one in an install script, which npm may not allow.
  const binary = `node-${process.platform}-${process.arch}`;
  await run("npm", ["install", "--no-audit", "--no-fund", `${binary}@${version}`], { cwd: project });
  const node = join(project, "node_modules", binary, "bin/node");
  const { stdout } = await run(node, ["play.js"], { cwd: project });
  return JSON.parse(stdout) as readonly string[];
}
