import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Bench, CannotRun } from "../../../src/cli/bench/bench.ts";
import { BENCHES } from "../../../src/cli/bench/benches.ts";
import { runBenches } from "../../../src/cli/bench/run.ts";
import { flotilla } from "../../../src/cli/commands.ts";
import { UsageError } from "../../../src/cli/usage.ts";

/** Nothing here is about how long anything takes, and the machine may be busy. */
const LONG_MS = 120_000;
const { signal } = new AbortController();

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "flotilla-bench-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function run(benches: readonly Bench[], given: Readonly<Record<string, string>>, ended: AbortSignal = signal) {
  const printed: string[] = [];
  const directory = folder();
  const plan = { benches, quick: true, given, directory, signal: ended, progress: () => {} };
  return runBenches({ ...plan, print: (text) => void printed.push(text) }).then((done) => {
    // Whatever was made is gone.
    expect(readdirSync(directory)).toEqual([]);
    return { ...done, printed: printed.join("") };
  });
}

const SMALLEST: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  throughput: { seconds: "0.1", "warm-up": "0.1", outstanding: "2", durability: "process" },
  limit: { seconds: "0.05", "warm-up": "0.05", outstanding: "2" },
  latency: { seconds: "0.1", "warm-up": "0.1", rate: "100", "state-mb": "0.01" },
  reads: { seconds: "0.05", "warm-up": "0.05", outstanding: "2", ways: "followers,mixed" },
  sequential: { appends: "5", "snapshot-every": "0", durability: "process" },
  failover: { trials: "1", "election-ms": "50" },
  recovery: {
    entries: "100",
    keys: "10",
    missed: "100",
    "state-mb": "0.01",
    seconds: "0.05",
    "warm-up": "0.05",
    rate: "100",
    machine: "memory",
  },
  growth: {
    seconds: "0.05",
    "warm-up": "0.05",
    entries: "100",
    keys: "10",
    peers: "1",
    clients: "3",
    outstanding: "2",
  },
};
/** How many lines each table has at that size. */
const LINES: Readonly<Record<string, number>> = {
  throughput: 1,
  limit: 13,
  latency: 2,
  reads: 2,
  sequential: 1,
  failover: 3,
  recovery: 6,
  growth: 5,
};

describe("every benchmark runs at its smallest size", { timeout: LONG_MS }, () => {
  test.each(Object.keys(SMALLEST))("%s", async (name) => {
    const benches = BENCHES.filter((bench) => bench.name === name);
    const { document, failed, printed } = await run(benches, SMALLEST[name] ?? {});
    expect(document.skipped).toEqual([]);
    expect(failed).toBe(0);
    expect(document.results).toHaveLength(LINES[name] ?? 0);
    for (const result of document.results) {
      expect(result.bench).toBe(name);
      expect(Object.keys(result.figures)).not.toEqual([]);
      for (const { runs } of Object.values(result.figures)) expect(runs).not.toEqual([]);
    }
    expect(printed).toContain(`${name}: `);
    expect(JSON.parse(JSON.stringify(document)).machine.versions).toMatchObject({ node: process.version });
  });

  test("growth, with a cluster of the smallest size beside each larger one", async () => {
    const growth = BENCHES.filter(({ name }) => name === "growth");
    const options = {
      seconds: "0.05",
      "warm-up": "0.05",
      parts: "state",
      keys: "20,10",
      machine: "memory",
      outstanding: "2",
    };
    const { document } = await run(growth, options);
    const ratios = document.results.map(({ parameters, figures }) => [
      parameters["size"],
      figures["CPU × that of 10"]?.runs.length,
      figures["commits × those of 10"]?.runs.length,
    ]);
    expect(ratios).toEqual([
      [10, undefined, undefined],
      [20, 1, 1],
    ]);
  });

  test("and none was forgotten, but those that are tested elsewhere: in the package, and below", () => {
    const elsewhere = ["start", "versus"];
    expect(Object.keys(SMALLEST)).toEqual(BENCHES.map(({ name }) => name).filter((name) => !elsewhere.includes(name)));
  });
});

test("reads at followers are not measured at a leader in their place, where there are none", async () => {
  const reads = BENCHES.filter(({ name }) => name === "reads");
  const { document, failed } = await run(reads, { ways: "followers", peers: "1" });
  expect(document.results).toEqual([]);
  expect(document.skipped).toEqual([{ bench: "reads", reason: "followers: one peer has none" }]);
  expect(failed).toBe(0);
});

describe("a comparison with others", { timeout: LONG_MS }, () => {
  const versus = BENCHES.filter(({ name }) => name === "versus");

  test("says who is not installed, and that is no failure", async () => {
    vi.stubEnv("PATH", folder());
    onTestFinished(() => void vi.unstubAllEnvs());
    const { document, failed, printed } = await run(versus, {});
    expect(failed).toBe(0);
    expect(document.results).toEqual([]);
    expect(printed).toContain("etcd: etcd is not installed (Debian: apt-get install etcd-server)");
    expect(document.skipped.map(({ reason }) => reason)).toContain("nobody to compare with is installed");
  });

  // Where they are installed: nothing of it is needed for anything else.
  const isInstalled = ["/usr/bin/etcd", "/usr/bin/erl", "/usr/lib/rabbitmq/lib"].every((path) => existsSync(path));
  test.runIf(isInstalled)("runs the same loop with all of them", async () => {
    const { document } = await run(versus, { seconds: "0.2", "warm-up": "0.2", outstanding: "4", operations: "put" });
    expect(document.skipped).toEqual([]);
    expect(document.results.map(({ series }) => series.replace(/ [\d.]+/, ""))).toEqual([
      "flotilla",
      "etcd",
      "ra, one node",
      "ra, three nodes",
    ]);
    for (const { figures } of document.results) expect(figures["operations/s"]?.median).toBeGreaterThan(0);
  });

  test.runIf(isInstalled)("compares linearizable reads", async () => {
    const rivals = "etcd,ra-one-node";
    const { document } = await run(versus, {
      seconds: "0.2",
      "warm-up": "0.2",
      outstanding: "4",
      operations: "read",
      rivals,
    });
    expect(document.skipped).toEqual([]);
    expect(document.results).toHaveLength(3);
    for (const { figures } of document.results) expect(figures["operations/s"]?.median).toBeGreaterThan(0);
  });
});

describe("the command", { timeout: LONG_MS }, () => {
  test("writes what was measured, and draws it", async () => {
    const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
    const warn = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    onTestFinished(() => {
      write.mockRestore();
      warn.mockRestore();
    });
    const [json, report] = [join(folder(), "out.json"), join(folder(), "report")];
    const args = [
      "--peers",
      "1",
      "--outstanding",
      "1,2",
      "--durability",
      "process",
      "--seconds",
      "0.05",
      "--warm-up",
      "0.05",
      "--runs",
      "2",
    ];
    expect(await flotilla(["bench", "throughput", ...args, "--json", json, "--report", report])).toBe(0);
    const document = JSON.parse(readFileSync(json, "utf8"));
    expect(document).toMatchObject({ format: 1, command: `flotilla bench throughput ${sorted(args)}` });
    expect(document.results).toHaveLength(2);
    expect(document.results[0].figures["commits/s"].runs).toHaveLength(2);
    expect(readFileSync(join(report, "index.html"), "utf8")).toContain("Throughput over outstanding commands");
    expect(warn.mock.calls.flat().join("")).toContain("throughput: 1 peers, 256 B, 1 outstanding, process, run 2 of 2");
  });

  test("goes on when one benchmark fails, tells why, and gives what the others found", async () => {
    const named = (name: string, error: Error | undefined): Bench => ({
      name,
      summary: "nothing",
      options: {},
      prepare: () =>
        async function* () {
          yield { bench: name, series: "s", parameters: {}, figures: {} };
          if (error !== undefined) throw error;
        },
    });
    const benches = [
      named("bad", new Error("broken")),
      named("absent", new CannotRun("no such thing")),
      named("good", undefined),
    ];
    const { document, failed, printed } = await run(benches, {});
    expect(failed).toBe(1);
    expect(document.results.map(({ bench }) => bench)).toEqual(["bad", "absent", "good"]);
    expect(document.skipped[1]).toEqual({ bench: "absent", reason: "no such thing" });
    expect(printed).toMatch(/not run: Error: broken/);
  });

  test("keeps what was measured when it is ended early, and says what was not", async () => {
    const controller = new AbortController();
    const named = (name: string): Bench => ({
      name,
      summary: "nothing",
      options: {},
      prepare: () =>
        async function* ({ signal }) {
          yield { bench: name, series: "s", parameters: {}, figures: {} };
          controller.abort();
          signal.throwIfAborted();
        },
    });
    const { document, failed } = await run([named("first"), named("second")], {}, controller.signal);
    expect(failed).toBe(0);
    expect(document.results.map(({ bench }) => bench)).toEqual(["first"]);
    expect(document.skipped).toEqual([
      { bench: "first", reason: "ended early" },
      { bench: "second", reason: "ended early" },
    ]);
  });

  test("finds what makes no sense to the last benchmark before the first takes any time", async () => {
    const progress = vi.fn();
    const plan = { benches: BENCHES, quick: true, given: { peers: "2" }, directory: folder(), signal, print: () => {} };
    await expect(runBenches({ ...plan, progress })).rejects.toThrow(
      'failover: --peers: expected a number from 3 to 64, got "2"',
    );
    expect(progress).not.toHaveBeenCalled();
  });

  test("does not begin when what it finds cannot be written", async () => {
    const warn = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    onTestFinished(() => warn.mockRestore());
    const place = folder();
    const file = join(place, "file");
    writeFileSync(file, "kept");
    const bad = [
      ["--json", join(place, "missing", "out.json"), "ENOENT"],
      ["--json", place, "EISDIR"],
      ["--report", file, "EEXIST"],
      ["--report", join(file, "below"), "ENOTDIR"],
    ] as const;
    for (const [option, path, code] of bad) {
      const error: unknown = await flotilla(["bench", "sequential", option, path]).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(UsageError);
      expect(String(error)).toMatch(new RegExp(`${option}: .*${code}`));
    }
    expect(warn).not.toHaveBeenCalled();
    expect(readFileSync(file, "utf8")).toBe("kept");
  });

  test.each([
    [["nothing"], 'there is no benchmark "nothing"'],
    [["limit", "--trials", "3"], "--trials is no option of limit"],
    [["throughput", "--seconds", "soon"], '--seconds: expected a number from 0.05 to 3600, got "soon"'],
    [["failover", "--faults", "crash,fire"], '--faults: expected some of crash, pause, partition, got "fire"'],
    [["throughput", "--directory", "/dev/shm"], "--directory"],
    [["growth", "--parts", "idle", "--entries=-1"], "growth: --entries: expected a number from 1 to 1000000000000"],
    [["reads", "--outstanding", "1.5"], 'reads: --outstanding: expected a whole number, got "1.5"'],
    [["start", "--runs", ""], "start: --runs: expected a number"],
    [["throughput", "--fast"], "Unknown option '--fast'"],
  ])("%j is wrong usage, and the message says of what", async (args, message) => {
    const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
    onTestFinished(() => write.mockRestore());
    await expect(flotilla(["bench", ...args])).rejects.toThrow(message);
  });

  test("--help tells the options of every benchmark", async () => {
    const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
    onTestFinished(() => write.mockRestore());
    expect(await flotilla(["bench", "--help"])).toBe(0);
    const help = write.mock.calls.flat().join("");
    for (const { name, options } of BENCHES) {
      expect(help).toContain(`  ${name}`);
      for (const option of Object.keys(options)) expect(help).toContain(`--${option}`);
    }
  });
});

/** As the command line is said again: in the order of all options. */
function sorted(args: readonly string[]): string {
  const at = (name: string) => `--${name} ${args[args.indexOf(`--${name}`) + 1]}`;
  return ["peers", "outstanding", "durability", "seconds", "warm-up", "runs"].map(at).join(" ");
}
