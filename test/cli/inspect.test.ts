import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { inspect } from "../../src/cli/inspect.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { until } from "../soak/load.ts";

const PATIENT = { timeoutMs: 60_000 };

/** A cluster that was stopped, and one that is running. */
let stopped: string;
let live: Supervisor;
let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "flotilla-inspect-test-"));
  stopped = join(root, "stopped");
  live = await Supervisor.start({ directory: stopped });
  await live.propose({ op: "put", key: "bytes", value: Uint8Array.of(1, 2, 3) }, PATIENT);
  await live.propose({ op: "put", key: "big", value: 2n ** 60n }, PATIENT);
  for (const peer of live.peers) {
    await until(`${peer.id} has applied all`, async () => (await peer.status()).lastApplied >= 4);
    await peer.snapshot();
  }
  await live.propose({ op: "put", key: "k", value: "after" }, PATIENT);
  for (const peer of live.peers) {
    await until(`${peer.id} has applied all`, async () => (await peer.status()).lastApplied >= 5);
  }
  await live.stop();
  cpSync(stopped, join(root, "live"), { recursive: true });
  live = await Supervisor.start({ directory: join(root, "live") });
});
afterAll(async () => {
  await live.stop();
  rmSync(root, { recursive: true, force: true });
});

function copied(change: (directory: string) => void = () => {}): string {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-inspect-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  cpSync(stopped, directory, { recursive: true });
  change(directory);
  return directory;
}

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  const out: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0);
  try {
    const code = await inspect(args);
    return { code, out: out.join("") };
  } finally {
    write.mockRestore();
  }
}

/** What --json prints, as far as these tests look at it. */
interface Printed {
  readonly cluster: string;
  readonly problems: string[];
  readonly stores: {
    readonly peer: string;
    readonly sound: boolean;
    readonly hardState: { currentTerm: number };
    readonly log: { firstIndex: number; lastIndex: number };
    readonly snapshot: { index: number };
    readonly problems: string[];
    readonly remarks: string[];
    readonly entries?: { index: number; term: number; kind: string; command: unknown }[];
  }[];
}

async function runJson(...args: string[]): Promise<{ code: number; printed: Printed }> {
  const { code, out } = await run(...args, "--json");
  return { code, printed: JSON.parse(out) };
}

describe("flotilla inspect", () => {
  test("tells what is in the stores of a cluster that was stopped", async () => {
    const { code, out } = await run(copied());
    expect(code).toBe(0);
    for (const id of ["p1", "p2", "p3"]) expect(out).toMatch(new RegExp(`^${id}: sound`, "m"));
    expect(out).toMatch(/configuration +p1, p2, p3/);
    expect(out).toMatch(/term +\d+, voted for p\d/);
    expect(out).toMatch(/snapshot +entries 1\.\.4/);
    expect(out).toMatch(/checksums +\d+ good, 0 bad/);
  });

  test("tells what is in those of one that is running, and keeps it from nothing", async () => {
    const { code, printed } = await runJson(live.directory);
    expect(code).toBe(0);
    expect(printed.stores.map(({ sound }) => sound)).toEqual([true, true, true]);
    expect(printed.stores[0]?.log.lastIndex).toBeGreaterThanOrEqual(5);
    await live.propose({ op: "put", key: "k", value: "goes on" }, PATIENT);
  });

  test("takes the directory of one store, and shows the entries that are asked for, decoded", async () => {
    const directory = join(copied(), "p1");
    const { code, printed } = await runJson(directory, "--entries", "1..");
    expect(code).toBe(0);
    expect(printed.stores).toHaveLength(1);
    const { entries = [], log } = printed.stores[0] ?? {};
    expect(entries.map(({ index }) => index)).toEqual(
      Array.from({ length: entries.length }, (_, at) => (log?.firstIndex ?? 0) + at),
    );
    expect(entries.find(({ index }) => index === 5)).toMatchObject({
      kind: "command",
      command: { op: "put", key: "k", value: "after" },
    });
    const { out } = await run(directory, "--entries", "5..5");
    expect(out).toMatch(/^ +5 +term \d+ .*command +\{ op: 'put', key: 'k', value: 'after' \}$/m);
    expect(await run(directory, "--entries", "..0").catch((error) => error)).toBeInstanceOf(UsageError);
  });

  test("reports what is broken and goes on with the next, and ends with exit code 1", async () => {
    const directory = copied((copy) => {
      truncateSync(join(copy, "p1", "data.mdb"), 20_000);
      writeFileSync(join(copy, "p2", "data.mdb"), "something else");
    });
    const { code, printed } = await runJson(directory);
    expect(code).toBe(1);
    expect(printed.stores.map(({ peer, sound }) => [peer, sound])).toEqual([
      ["p1", false],
      ["p2", false],
      ["p3", true],
    ]);
    expect((await run(directory)).out).toMatch(/^p1: BROKEN.*[\s\S]*problem/m);
  });

  test("finds stores that were swapped, one that is gone, and one that was never made", async () => {
    const swapped = copied((copy) => {
      renameSync(join(copy, "p1"), join(copy, "aside"));
      renameSync(join(copy, "p2"), join(copy, "p1"));
      renameSync(join(copy, "aside"), join(copy, "p2"));
      rmSync(join(copy, "p3"), { recursive: true });
    });
    const { code, printed } = await runJson(swapped);
    expect(code).toBe(1);
    expect(printed.stores[0]?.problems.join()).toContain('it is of peer "p2", where "p1" should be');
    expect(printed.stores[2]?.problems).toEqual(["there is no data file"]);

    const unborn = copied((copy) => {
      rmSync(join(copy, "p3"), { recursive: true });
      const identity = JSON.parse(readFileSync(join(copy, "cluster.json"), "utf8"));
      identity.peers.p3.born = false;
      writeFileSync(join(copy, "cluster.json"), JSON.stringify(identity));
    });
    const never = await runJson(unborn);
    expect(never.code).toBe(0);
    expect(never.printed.stores[2]?.remarks).toEqual(["it was never started"]);
  });

  test("finds the stores without a cluster.json, or with one that makes no sense, and says so", async () => {
    const lost = await runJson(copied((copy) => rmSync(join(copy, "cluster.json"))));
    expect(lost.code).toBe(1);
    expect(lost.printed.problems).toEqual(["there are stores, but no cluster.json"]);
    expect(lost.printed.stores.map(({ sound }) => sound)).toEqual([true, true, true]);
    const garbage = await runJson(copied((copy) => writeFileSync(join(copy, "cluster.json"), "{")));
    expect(garbage.code).toBe(1);
    expect(garbage.printed.problems.join()).toContain("cluster.json cannot be understood");
    expect(garbage.printed.stores).toHaveLength(3);
  });

  test("--help says how it is used", async () => {
    const { code, out } = await run("--help");
    expect(code).toBe(0);
    expect(out).toContain("--entries");
  });

  test.each([
    [[], "a directory is missing"],
    [["one", "two"], 'got also "two"'],
    [["nowhere"], "there is no directory"],
    [["--entrys", "1..2"], "Unknown option '--entrys'"],
    [[".", "--entries", "5"], 'got "5"'],
    [[".", "--entries", "9..8"], 'got "9..8"'],
    [["EMPTY"], "holds no cluster, and is no store"],
  ])("%j is wrong usage", async (args, message) => {
    const empty = join(copied(), "empty");
    mkdirSync(empty);
    const error = await inspect(args.map((arg) => (arg === "EMPTY" ? empty : arg))).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain(message);
  });
});
