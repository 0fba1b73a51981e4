import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { generateHistory } from "../../bench/history-workload.ts";
import { formatHistory, parseHistory } from "../../src/testing/history-lines.ts";
import { checkLinearizable } from "../../src/testing/linearizability/check.ts";
import { keyValueModel } from "../../src/testing/linearizability/key-value.ts";

const GOOD = '{"client":1,"op":"put","key":"k","value":"v","call":100,"return":250,"outcome":"ok"}';

function line(changes: Record<string, unknown>): string {
  return JSON.stringify({
    client: 2,
    op: "get",
    key: "k",
    output: "v",
    call: 300,
    return: 400,
    outcome: "ok",
    ...changes,
  });
}

/** An array in an array, and so on. */
function nested(levels: number): unknown {
  return levels === 0 ? "v" : [nested(levels - 1)];
}

describe("parseHistory", () => {
  test("takes values as deep as the map does", () => {
    expect(parseHistory(line({ output: nested(256) }))).toMatchObject([{ output: nested(256) }]);
  });

  test("reads each operation, null as an absent key, and skips empty lines and other fields", () => {
    const text = [
      GOOD,
      "",
      line({ output: null, term: 3 }),
      line({ client: "c", op: "append", value: "x", return: undefined, outcome: undefined }),
      line({ client: "d", op: "cas", expected: null, value: 1, applied: true }),
      line({ client: "e", op: "cas", expected: "a", value: 1, applied: false, output: null, outcome: undefined }),
      line({ client: "f", op: "delete", outcome: "failed" }),
      line({ client: "g", outcome: "unknown", output: undefined }),
      line({ client: "h", version: 3 }),
      line({ client: "i", version: 0, output: null }),
      line({ client: "j", op: "set", value: 1, version: 2, applied: true, output: 3 }),
      line({ client: "k", op: "set", value: 1, applied: false, output: undefined }),
      line({ client: "l", op: "set", value: 1, version: 0, outcome: "unknown" }),
    ].join("\r\n");
    const times = { call: 300, return: 400 };
    expect(parseHistory(text)).toEqual([
      { client: 1, input: { op: "put", key: "k", value: "v" }, call: 100, return: 250, outcome: "ok" },
      { client: 2, input: { op: "get", key: "k" }, output: null, ...times, outcome: "ok" },
      { client: "c", input: { op: "append", key: "k", value: "x" }, call: 300, outcome: "unknown" },
      { client: "d", input: { op: "cas", key: "k", value: 1 }, output: { swapped: true }, ...times, outcome: "ok" },
      {
        client: "e",
        input: { op: "cas", key: "k", expected: "a", value: 1 },
        output: { swapped: false, value: null },
        ...times,
        outcome: "ok",
      },
      { client: "f", input: { op: "delete", key: "k" }, ...times, outcome: "failed" },
      { client: "g", input: { op: "get", key: "k" }, ...times, outcome: "unknown" },
      { client: "h", input: { op: "entry", key: "k" }, output: { value: "v", version: 3 }, ...times, outcome: "ok" },
      { client: "i", input: { op: "entry", key: "k" }, output: null, ...times, outcome: "ok" },
      {
        client: "j",
        input: { op: "set", key: "k", value: 1, version: 2 },
        output: { ok: true, version: 3 },
        ...times,
        outcome: "ok",
      },
      { client: "k", input: { op: "set", key: "k", value: 1 }, output: { ok: false }, ...times, outcome: "ok" },
      { client: "l", input: { op: "set", key: "k", value: 1, version: 0 }, ...times, outcome: "unknown" },
    ]);
  });

  test("reads the lines that the guide shows", async () => {
    const guide = await readFile(new URL("../../docs/checking.md", import.meta.url), "utf8");
    const lines = /^```json\n(.*?)^```$/ms.exec(guide)?.[1] ?? "";
    const history = parseHistory(lines);
    expect(history.map(({ outcome }) => outcome)).toEqual(["ok", "unknown", "ok", "ok", "failed", "ok", "ok"]);
    expect(await checkLinearizable(history, keyValueModel)).toMatchObject({ verdict: "ok", operations: 6 });
  });

  test("reads back what formatHistory has written", () => {
    const history = generateHistory({ operations: 500, keys: 3, clients: 5, unknown: 0.1, versions: true, seed: 1 });
    const text = formatHistory(history);
    expect(text.split("\n")).toHaveLength(501);
    expect(formatHistory(parseHistory(text))).toBe(text);
    const cas = { op: "cas", key: "k", expected: undefined, value: 1 } as const;
    const common = { client: 1, call: 0, return: 1, outcome: "ok" } as const;
    expect(formatHistory([{ ...common, input: cas, output: { swapped: false, value: undefined } }])).toBe(
      '{"client":1,"op":"cas","key":"k","expected":null,"value":1,"applied":false,"output":null,"call":0,"return":1,"outcome":"ok"}\n',
    );
    expect(formatHistory([{ ...common, input: { op: "get", key: "k" } }])).toBe(
      '{"client":1,"op":"get","key":"k","output":null,"call":0,"return":1,"outcome":"ok"}\n',
    );
    expect(formatHistory([{ ...common, input: { op: "entry", key: "k" } }])).toBe(
      '{"client":1,"op":"get","key":"k","output":null,"version":0,"call":0,"return":1,"outcome":"ok"}\n',
    );
    const set = { op: "set", key: "k", value: 1, version: 0 } as const;
    expect(formatHistory([{ ...common, input: set, output: { ok: true, version: 1 } }])).toBe(
      '{"client":1,"op":"set","key":"k","version":0,"value":1,"applied":true,"output":1,"call":0,"return":1,"outcome":"ok"}\n',
    );
  });

  test.each([
    ['{"client":1,"op":"pu', "line 2: cut off, or no JSON: "],
    [`nonsense\n${GOOD}`, "line 2: no JSON: "],
    ["[1]", "line 2: expected an object, got [ 1 ]"],
    [line({ output: nested(257) }), "line 2: values nested more than 257 deep"],
    [line({ client: undefined }), "line 2: client: missing"],
    [line({ client: true }), "line 2: client: expected a number or a string, got true"],
    [line({ op: undefined }), "line 2: op: missing"],
    [line({ op: "scan" }), "line 2: op: expected put, get, append, delete, cas or set, got 'scan'"],
    [line({ key: "" }), "line 2: key: expected a string of at least one character, got ''"],
    [line({ op: "put" }), "line 2: value: missing"],
    [line({ op: "put", value: null }), "line 2: value: expected anything but null"],
    [line({ op: "append", value: 1 }), "line 2: value: expected a string to append, got 1"],
    [line({ op: "cas", value: 1, applied: true }), "line 2: expected: missing"],
    [line({ op: "cas", value: 1, expected: 1 }), "line 2: applied: missing"],
    [line({ op: "cas", value: 1, expected: 1, applied: "yes" }), "line 2: applied: expected true or false, got 'yes'"],
    [
      line({ op: "set", value: 1, version: "1" }),
      "line 2: version: expected a whole number, 0 for an absent key, got '1'",
    ],
    [
      line({ op: "set", value: 1, version: -1 }),
      "line 2: version: expected a whole number, 0 for an absent key, got -1",
    ],
    [line({ op: "set", version: 1 }), "line 2: value: missing"],
    [line({ op: "set", value: 1, version: 1 }), "line 2: applied: missing"],
    [
      line({ op: "set", value: 1, applied: true }),
      "line 2: output: expected a whole number, 0 for an absent key, got 'v'",
    ],
    [line({ version: 0 }), "line 2: version: expected 1 or more for a key that is there, got 0"],
    [line({ version: 1, output: null }), "line 2: version: expected 0 for an absent key, got 1"],
    [line({ output: undefined }), "line 2: output: missing"],
    [line({ call: undefined }), "line 2: call: missing"],
    [line({ call: "300" }), "line 2: call: expected a whole number of nanoseconds, up to 2^53, got '300'"],
    [line({ call: 2 ** 53 }), "line 2: call: expected a whole number of nanoseconds"],
    [line({ return: undefined }), "line 2: return: missing"],
    [line({ return: 299 }), "line 2: return: expected a time of 300, its call, or later, got 299"],
    [line({ outcome: "maybe" }), "line 2: outcome: expected ok, failed or unknown, got 'maybe'"],
    [
      line({ client: 1, call: 249 }),
      "line 2: client 1 has two calls at once: that of line 2 begins at 249, and that of line 1 returns at 250",
    ],
  ])("names the line of %s", (bad, message) => {
    expect(() => parseHistory(`${GOOD}\n${bad}`)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_HISTORY", message: expect.stringContaining(message) }),
    );
  });

  test("lets a client go on behind a call of unknown outcome", () => {
    const text = [line({ return: undefined, outcome: "unknown" }), line({ call: 350 })].join("\n");
    expect(parseHistory(text)).toHaveLength(2);
  });
});
