import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { check } from "../../src/cli/check.ts";

const OK = '{"client":1,"op":"put","key":"k","value":"v","call":100,"return":250}\n';
const ILLEGAL = `${OK}{"client":1,"op":"get","key":"k","output":"w","call":300,"return":310}\n`;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "flotilla-check-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function file(content: string): string {
  const path = join(folder(), "history.jsonl");
  writeFileSync(path, content);
  return path;
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: "", err: "" };
  const take = (name: "out" | "err") => (chunk: string | Uint8Array) => {
    written[name] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(take("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(take("err")),
  ];
  try {
    return { code: await check(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

test("says ok in the first line, and ends with exit code 0", async () => {
  expect(await run(file(OK))).toEqual({ code: 0, out: "ok\noperations: 1, keys: 1\n", err: "" });
  expect(await run(file(""))).toEqual({ code: 0, out: "ok\noperations: 0, keys: 0\n", err: "" });
});

test("says illegal, why, and draws it, and ends with exit code 1", async () => {
  const html = join(folder(), "picture.html");
  const { code, out } = await run(file(ILLEGAL), "--html", html);
  expect(code).toBe(1);
  expect(out).toMatch(/^illegal\n/);
  expect(out).toContain("client 1: get k → 'w', 300 to 310 ns");
  expect(readFileSync(html, "utf8")).toContain("</svg>");
});

test("knows versions, and tells them", async () => {
  const put =
    '{"client":1,"op":"set","key":"k","version":0,"value":"v","applied":true,"output":1,"call":1,"return":2}\n';
  const maybe = '{"client":2,"op":"set","key":"k","version":1,"value":"w","call":3}\n';
  const read = '{"client":1,"op":"get","key":"k","output":"w","version":2,"call":4,"return":5}\n';
  expect(await run(file(put + maybe + read))).toMatchObject({ code: 0, out: "ok\noperations: 3, keys: 1\n" });
  const again =
    '{"client":3,"op":"set","key":"k","version":1,"value":"x","applied":true,"output":2,"call":6,"return":7}\n';
  const { code, out } = await run(file(put + maybe + read + again));
  expect(code).toBe(1);
  expect(out).toContain("client 3: set k 'x' at version 1 → done, version 2, 6 to 7 ns");
  expect(out).toContain("get k → 'w', version 2");
  expect(out).toContain("leaves the state { version: 2, value: 'w' }");
});

test("says undecided when the time is up, and ends with exit code 2", async () => {
  // So many at once that it takes more than one turn, whatever the machine.
  const lines = Array.from({ length: 60 }, (_, client) => {
    const output = client === 0 ? "never" : String(client % 7);
    const put = { client, op: "put", key: "k", value: String(client % 7), call: client, return: 1_000 };
    const get = { client: `r${client}`, op: "get", key: "k", output, call: client, return: 1_000 };
    return `${JSON.stringify(put)}\n${JSON.stringify(get)}\n`;
  });
  const { code, out } = await run(file(lines.join("")), "--timeout", "0");
  expect(code).toBe(2);
  expect(out).toMatch(/^undecided\n.*\nk: the time was up\n$/);
});

test("--json tells all of it behind the first line", async () => {
  const { code, out } = await run(file(ILLEGAL), "--json");
  expect(code).toBe(1);
  const [word, ...document] = out.split("\n");
  expect(word).toBe("illegal");
  expect(JSON.parse(document.join("\n"))).toMatchObject({ verdict: "illegal", violations: [{ partition: "k" }] });
});

test.each([
  [[], /a file is missing/],
  [["a", "b"], /got also "b"/],
  [["--timeout", "soon", "a"], /--timeout: expected a number/],
  [["--htlm", "a"], /Unknown option '--htlm'/],
  [["nowhere.jsonl"], /ENOENT.*nowhere\.jsonl/],
])("%j gives no verdict, and exit code 3", async (args, message) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 3, out: "" });
  expect(err).toMatch(message);
});

test("a file that makes no sense gives no verdict, but the line, and exit code 3", async () => {
  expect(await run(file(`${OK}${OK.slice(0, 40)}`))).toMatchObject({
    code: 3,
    out: "",
    err: expect.stringMatching(/^flotilla check: line 2: cut off/),
  });
});

test("--help says how it is used", async () => {
  expect(await run("--help")).toMatchObject({ code: 0, out: expect.stringContaining("--timeout") });
});

test("- reads from stdin", async () => {
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", main, "check", "-"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end(ILLEGAL);
  expect(await text(child.stdout)).toMatch(/^illegal\n/);
  expect(await ended).toBe(1);
});
