import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { flotilla } from "../../src/cli/commands.ts";
import { HEADING, row } from "../../src/cli/lab/table.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { type Scenario, scenarios } from "../../src/testing/lab/index.ts";
import { command } from "../built/command.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "src/cli/main.ts");
/** Nothing here is about how long anything takes, and the machine may be busy. */
const LONG_MS = 120_000;

let temporary: string;
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), "flotilla-cli-lab-test-"));
});
afterEach(async () => {
  await rm(temporary, { recursive: true, force: true });
});

function options() {
  return { cwd: ROOT, env: { ...process.env, TMPDIR: temporary, TMP: temporary, TEMP: temporary } };
}

function lab(args: readonly string[]): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command(), "lab", ...args], options(), (error, out, err) => {
      resolve({ code: error === null ? 0 : error.code, out, err });
    });
  });
}

async function leftovers(): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith("flotilla"));
}

function scenario(name: string): Scenario {
  const found = scenarios.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
}

describe("flotilla lab", { timeout: LONG_MS }, () => {
  test("prints a row for each test that is named, with MIT's figures", async () => {
    const { code, out, err } = await lab(["basicagree", "SnapshotInit3D"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const [above, heads, first, second, ...rest] = out.trimEnd().split("\n");
    expect(above?.trim().split(/ +/)).toEqual(["seconds", "rpcs", "bytes", "commands"]);
    expect(heads?.trim().split(/ +/)).toEqual(["passed", "peers", ...Array(4).fill(["here", "MIT"]).flat()]);
    expect(first).toMatch(/^BasicAgree3B +1\/1 +3 +[\d.]+ +0\.9 +\d+ +16 +\d+ +4572 +3 +3$/);
    expect(second).toMatch(/^SnapshotInit3D +1\/1 +3 +[\d.]+ +- +\d+ +- +\d+ +- +\d+ +-$/);
    expect(rest).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });

  test("prints every run as JSON, and nothing else", async () => {
    const { code, out } = await lab(["BasicAgree3B", "--times", "2", "--json", "--seed", "7"]);
    expect(code).toBe(0);
    const run = {
      seed: 7,
      passed: true,
      seconds: expect.any(Number),
      rpcs: expect.any(Number),
      bytes: expect.any(Number),
      commands: 3,
    };
    const { name, title, part, peers, unreliable, mit } = scenario("BasicAgree3B");
    expect(JSON.parse(out)).toEqual([{ name, title, part, peers, unreliable, mit, runs: [run, run] }]);
  });

  test("--trace prints a timeline before the row, and beside the JSON", async () => {
    const { code, out } = await lab(["BasicAgree3B", "--trace"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^seconds +p1 +p2 +p3$/m);
    expect(out).toMatch(/^[\d.]+ +leader, term \d+$/im);
    expect(out).toMatch(/^[\d.]+ +applies \d+/m);
    const { out: json, err } = await lab(["BasicAgree3B", "--trace", "--json"]);
    expect(JSON.parse(json)).toHaveLength(1);
    expect(err).toMatch(/^[\d.]+ +leader, term \d+$/im);
  });

  test("ends with exit code 1 when a test fails, says why, and goes on with the next", async () => {
    // No cluster can be started where a file stands in the place of the temporary folder.
    vi.stubEnv("TMPDIR", MAIN);
    const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    onTestFinished(() => {
      vi.restoreAllMocks();
      vi.unstubAllEnvs();
    });
    expect(await flotilla(["lab", "BasicAgree3B", "RPCBytes3B"])).toBe(1);
    expect(out.mock.calls.join("")).toMatch(/^BasicAgree3B +0\/1 .*\nRPCBytes3B +0\/1 /m);
    expect(err.mock.calls.join("")).toContain(MAIN);
  });

  test("ends cleanly when it is interrupted, with the exit code of that", async () => {
    const child = spawn(process.execPath, [command(), "lab", "Figure83C", "--trace"], options());
    const ended = new Promise((resolve) => child.once("exit", resolve));
    let seen = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const before = seen;
      seen += chunk.toString();
      if (/leader/i.test(seen) && !/leader/i.test(before)) child.kill("SIGINT");
    });
    expect(await ended).toBe(130);
    expect(await leftovers()).toEqual([]);
  });

  test("--help lists every test", async () => {
    const { code, out } = await lab(["--help"]);
    expect(code).toBe(0);
    const lines = out.split("\n").map((line) => line.trim().split(/ {1,}/).join(" "));
    for (const { name, title } of scenarios) expect(lines).toContain(`${name} ${title}`);
  });

  test.each([
    [["Membership"], 'no test of the lab is named like "Membership"'],
    [["--times", "0"], '--times: expected a number from 1 to 10000, got "0"'],
    [["--seed", "1.5"], '--seed: expected a whole number, got "1.5"'],
    [["--tiems", "2"], "Unknown option '--tiems'"],
  ])("%j is wrong usage", async (args, message) => {
    const error = await flotilla(["lab", ...args]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain(message);
  });
});

describe("a row of the lab's table", () => {
  test("shows the medians of the runs that passed, and how many did", () => {
    const columns = { seconds: 2, rpcs: 20, bytes: 200, commands: 4 };
    const cells = row(scenario("BasicAgree3B"), [
      { seed: 1, columns: { ...columns, seconds: 9.04, rpcs: 3 } },
      { seed: 2, error: new Error("no leader") },
      { seed: 3, columns },
      { seed: 4, columns: { ...columns, seconds: 1, commands: 3 } },
    ]);
    expect(cells.split(/ +/)).toEqual(["BasicAgree3B", "3/4", "3", "2.0", "0.9", "20", "16", "200", "4572", "4", "3"]);
  });

  test("is as wide as the heading, whatever the test", () => {
    const columns = { seconds: 119.9, rpcs: 99_999, bytes: 44_771_259, commands: 1_544 };
    for (const one of scenarios) {
      for (const runs of [[], [{ seed: 1, columns }]]) expect(row(one, runs).length).toBe(HEADING[1]?.length);
    }
  });
});
