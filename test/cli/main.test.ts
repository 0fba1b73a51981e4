import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { command } from "../built/command.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "src/cli/main.ts");
/** Nothing here is about how long anything takes, and the machine may be busy. */
const LONG_MS = 120_000;

let temporary: string;
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), "flotilla-cli-test-"));
});
afterEach(async () => {
  await rm(temporary, { recursive: true, force: true });
});

/** Its own temporary folder, to see what is left there. */
function options() {
  return { cwd: ROOT, env: { ...process.env, TMPDIR: temporary, TMP: temporary, TEMP: temporary } };
}

async function leftovers(): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith("flotilla"));
}

interface Ended {
  readonly code: number | string | null;
  readonly out: string;
  readonly err: string;
}

function flotilla(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command(), ...args], options(), (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), out, err });
    });
  });
}

describe("flotilla", { timeout: LONG_MS }, () => {
  test("--help names every command", async () => {
    const { code, out, err } = await flotilla("--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("demo");
  });

  test("--version is the package's", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    expect(await flotilla("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
  });

  test("says what is wrong with its arguments, and ends with exit code 2", async () => {
    const err = 'flotilla: there is no command "dmeo"\nTry: flotilla --help\n';
    expect(await flotilla("dmeo")).toEqual({ code: 2, out: "", err });
  });

  test("ends with exit code 1 when it cannot do what it was asked, and says why", async () => {
    const { code, err } = await flotilla("demo", "--directory", MAIN);
    expect(code).toBe(1);
    expect(err).toMatch(/^flotilla: .*main\.ts/);
  });

  test("demo ends cleanly when it is interrupted, with the exit code of that", async () => {
    const child = spawn(process.execPath, [command(), "demo"], options());
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const err = text(child.stderr);
    await lineWith(child, "--- calm");
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(await err).toBe("flotilla demo: ended early, nothing was checked\n");
    expect(await leftovers()).toEqual([]);
  });

  test("demo ends cleanly when whoever reads its output goes away", async () => {
    const child = spawn(process.execPath, [command(), "demo"], options());
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const err = text(child.stderr);
    await lineWith(child, "--- calm");
    child.stdout.destroy();
    expect(await ended).toBe(1);
    expect(await err).toBe("flotilla demo: ended early, nothing was checked\n");
    expect(await leftovers()).toEqual([]);
  });
});

/** Waits for a line of the child's output, and lets the rest pass. */
function lineWith(child: ChildProcess, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes(wanted)) resolve();
    });
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said "${wanted}": ${seen}`)));
  });
}
