import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

/*
 * Packs the package, installs it as a stranger would, and runs the README's programs under several versions of Node, which
 * npm brings. It needs a registry, so it is no part of the tests; exits with 1 when any of it fails.
 *
 *     npx tsx test/package/nodes.ts [--node 20.20,22,24]
 */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { values: args } = parseArgs({ options: { node: { type: "string", default: "20.20,22,24" } } });
const run = promisify(execFile);

const { devDependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
const temporary = await mkdtemp(join(tmpdir(), "flotilla-nodes-"));
try {
  await run("npm", ["run", "build"], { cwd: ROOT });
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", temporary], { cwd: ROOT });
  const tarball = (await readdir(temporary)).find((name) => name.endsWith(".tgz")) ?? "";
  for (const version of args.node.split(",")) await check(version, join(temporary, tarball));
} finally {
  await rm(temporary, { recursive: true, force: true });
}

async function check(version: string, tarball: string): Promise<void> {
  const project = join(temporary, `node-${version}`);
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
  // The package "node" would fetch this one in an install script, which npm may not allow.
  const binary = `node-${process.platform}-${process.arch}`;
  const packages = [tarball, `${binary}@${version}`, `tsx@${devDependencies.tsx}`];
  await run("npm", ["install", "--no-audit", "--no-fund", ...packages], { cwd: project });
  for (const [example, name] of [
    ["quickstart.ts", "quickstart.js"],
    ["leader-lost.ts", "leader-lost.js"],
    ["counter.ts", "counter.ts"],
    ["counter-machine.ts", "counter-machine.ts"],
  ] as const) {
    await cp(join(ROOT, "examples", example), join(project, name));
  }
  const node = join(project, "node_modules", binary, "bin/node");
  const programs = [
    ["--version"],
    ["quickstart.js"],
    ["leader-lost.js"],
    ["--import", "tsx", "counter.ts"],
    ["node_modules/flotilla/dist/cli/main.js", "demo", "--help"],
    ["node_modules/flotilla/dist/cli/main.js", "inspect", "data"],
    ["node_modules/flotilla/dist/cli/main.js", "lab", "InitialElection3A"],
  ];
  // Where Node can read TypeScript by itself it needs no help.
  const { stdout: types } = await run(node, ["-p", "process.features.typescript"], { cwd: project });
  if (/strip|transform/.test(types)) programs.push(["counter.ts"]);
  for (const program of programs) {
    const { stdout } = await run(node, program, { cwd: project });
    console.log(`Node ${version}: ${program.join(" ")}: ${stdout.trim().split("\n").at(-1)}`);
  }
}
