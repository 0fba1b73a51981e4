import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseOptions } from "../../src/actors/options.ts";
import { RaftError } from "../../src/raft/errors.ts";

function refusalOf(options: unknown): string {
  try {
    parseOptions(options);
  } catch (error) {
    expect(error).toBeInstanceOf(RaftError);
    expect((error as RaftError).code).toBe("ERR_INVALID_OPTION");
    return (error as RaftError).message;
  }
  throw new Error("it was accepted");
}

describe("parseOptions", () => {
  test("fills in every default, with undefined as if left out", () => {
    const defaults = {
      peers: ["p1", "p2", "p3"],
      directory: undefined,
      machine: { module: undefined, options: undefined },
      durability: "disk",
      heartbeatMs: 50,
      electionMs: [150, 300],
      maxClockDrift: 0.05,
      restart: { intensity: 10, periodMs: 10_000, backoffMs: [10, 1_000] },
      seed: expect.any(Number),
      maxCommandBytes: 1 << 20,
      maxPendingBytes: 64 << 20,
      snapshotEvery: 10_000,
      stuckMs: 10_000,
      verify: "full",
      trace: false,
      cacheBytes: 16 << 20,
      record: undefined,
      logger: undefined,
    };
    expect(parseOptions()).toStrictEqual(defaults);
    const unset = Object.fromEntries(Object.keys(defaults).map((name) => [name, undefined]));
    expect(parseOptions(unset)).toStrictEqual(defaults);
  });

  test("keeps what is given", () => {
    const given = {
      peers: ["east", "west-1", "x.y"],
      durability: "process",
      heartbeatMs: 10,
      electionMs: [20, 21],
      restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 5, backoffMs: [0, 0] },
      seed: -7,
      maxCommandBytes: 100,
      maxPendingBytes: 100,
      trace: true,
      cacheBytes: 0,
    };
    expect(parseOptions(given)).toMatchObject(given);
    expect(parseOptions({ restart: false }).restart).toBe(false);
    expect(parseOptions({ restart: { intensity: 2 } }).restart).toEqual({
      intensity: 2,
      periodMs: 10_000,
      backoffMs: [10, 1_000],
    });
  });

  test("draws another seed each time", () => {
    const seeds = new Set(Array.from({ length: 20 }, () => parseOptions().seed));
    expect(seeds.size).toBeGreaterThan(15);
    expect([...seeds].every(Number.isSafeInteger)).toBe(true);
  });

  test("names counted peers p1, p2, ...", () => {
    expect(parseOptions({ peers: 1 }).peers).toEqual(["p1"]);
    expect(parseOptions({ peers: 12 }).peers.at(-1)).toBe("p12");
  });

  test("resolves the directory and that of records against the working directory", () => {
    expect(parseOptions({ directory: "data/here" }).directory).toBe(resolve("data/here"));
    expect(parseOptions({ record: "records" }).record).toBe(resolve("records"));
  });

  test.each([
    ["a relative path", "./machine.ts", pathToFileURL(resolve("machine.ts")).href],
    ["an absolute path", resolve("/opt/m 1.js"), pathToFileURL(resolve("/opt/m 1.js")).href],
    ["an href", "file:///opt/m.js", "file:///opt/m.js"],
    ["a data: href", "data:text/javascript,1", "data:text/javascript,1"],
    ["a URL", new URL("file:///opt/m.js"), "file:///opt/m.js"],
  ])("makes an href of a machine given as %s", (_, machine, href) => {
    expect(parseOptions({ machine }).machine).toEqual({ module: href, options: undefined });
    expect(parseOptions({ machine: { module: machine, options: { a: 1 } } }).machine).toEqual({
      module: href,
      options: { a: 1 },
    });
  });

  test("what it returns can be sent to a thread", () => {
    const parsed = parseOptions({ machine: { module: new URL("file:///m.js"), options: new Map([[1, 2]]) } });
    expect(structuredClone(parsed)).toStrictEqual(parsed);
  });

  test.each<[unknown, string]>([
    [null, "options: expected an object with options, got null"],
    [[], "options: expected an object with options, got []"],
    [{ heartbeetMs: 1 }, "heartbeetMs: no such option: did you mean heartbeatMs?"],
    [{ electionms: [1, 2] }, "electionms: no such option: did you mean electionMs?"],
    [{ zebra: 1 }, "zebra: no such option"],
    [{ restart: { intensty: 1 } }, "restart.intensty: no such option: did you mean intensity?"],
    [{ machine: { module: "m.js", opts: 1 } }, "machine.opts: no such option"],
    [{ peers: 0 }, "peers: expected a count from 1 to 64, or as many names, got 0"],
    [{ peers: 65 }, "peers: expected a count from 1 to 64, or as many names, got 65"],
    [{ peers: "a" }, "peers: expected a count from 1 to 64, or as many names, got 'a'"],
    [{ peers: [] }, "peers: expected a count from 1 to 64, or as many names, got []"],
    [{ peers: ["a", 5] }, "peers[1]: expected a name, got 5"],
    [{ peers: ["a", "A"] }, "peers: expected names that differ, and not only by case, got [ 'a', 'A' ]"],
    [
      { peers: ["Lock"] },
      "peers[0]: expected a name other than lock, cluster.json, __proto__, constructor, prototype, got 'Lock'",
    ],
    [
      { electionMs: [300, 150] },
      "electionMs: expected the longer bound to be greater than the shorter, got [ 300, 150 ]",
    ],
    [{ electionMs: [300] }, "electionMs[1]: expected milliseconds, a number from 1 to 2147483647, got undefined"],
    [{ electionMs: [1, 2, 3] }, "electionMs[2]: expected two bounds in milliseconds, got 3"],
    [{ heartbeatMs: 76 }, "heartbeatMs: expected at most half of the shortest election timeout, 150, got 76"],
    [{ heartbeatMs: Number.NaN }, "heartbeatMs: expected milliseconds, a number from 1 to 2147483647, got NaN"],
    [{ restart: true }, "restart: expected false, or an object with intensity, periodMs and backoffMs, got true"],
    [
      { restart: { intensity: 1.5 } },
      "restart.intensity: expected how many crashes, a whole number or Infinity, got 1.5",
    ],
    [
      { restart: { backoffMs: [5, 1] } },
      "restart.backoffMs: expected the longer bound to be no less than the shorter, got [ 5, 1 ]",
    ],
    [{ durability: "ram" }, `durability: expected "disk" or "process", got 'ram'`],
    [{ directory: "" }, "directory: expected a path, got ''"],
    [{ record: true }, "record: expected a path, got true"],
    [{ seed: 2 ** 53 }, "seed: expected an integer, got 9007199254740992"],
    [
      { maxCommandBytes: 2 ** 26 + 1 },
      "maxCommandBytes: expected a whole number of bytes, from 1 to 67108864, got 67108865",
    ],
    [{ maxPendingBytes: 1_000 }, "maxPendingBytes: expected at least maxCommandBytes, 1048576, got 1000"],
    [{ trace: 1 }, 'trace: expected true, "applied" or false, got 1'],
    [{ cacheBytes: -1 }, "cacheBytes: expected a whole number of bytes, got -1"],
    [
      { machine: { module: "m.js", options: { f: Math.max } } },
      "machine.options: expected something that can be sent to a thread, got { f: [Function: max] }",
    ],
  ])("refuses %o, saying why", (options, message) => {
    expect(refusalOf(options)).toBe(message);
  });

  test.each([5, "", null, class Machine {}, "https://example.com/m.js", new URL("https://example.com/m.js"), {}])(
    "refuses %o as a machine",
    (machine) => {
      expect(refusalOf({ machine })).toMatch(
        /^machine(\.module)?: expected the file: or data: URL, or the path, of a module that exports a class by default, got /,
      );
    },
  );

  test("takes for a peer's name only what is safe as the name of a folder", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "Z", "0", "_", "-", ".", "/", "\\", " ", ":", "é", "\0") }),
        (name) => {
          const safe = /^[aZ0_-][aZ0_.-]*$/.test(name);
          if (safe) expect(parseOptions({ peers: [name] }).peers).toEqual([name]);
          else expect(refusalOf({ peers: [name] })).toContain("peers[0]: expected a name of up to 64 letters");
        },
      ),
    );
    expect(parseOptions({ peers: ["x".repeat(64)] }).peers).toHaveLength(1);
    expect(refusalOf({ peers: ["x".repeat(65)] })).toContain("peers[0]: expected a name of up to 64 letters");
  });
});
