import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { turnsFile, WriterTurns, whileNobodyCommits } from "../../src/storage/turns.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { startThread } from "./fixtures/thread.ts";
import type { TurnTakerData } from "./fixtures/turn-taker.ts";

function folder(): string {
  const { path, remove } = temporaryFolder();
  onTestFinished(remove);
  return path;
}

function writer(path: string): WriterTurns {
  const turns = new WriterTurns(path);
  onTestFinished(() => turns.close());
  return turns;
}

/** Writes what a process has left there. */
function say(path: string, place: number, value: number): void {
  const descriptor = openSync(turnsFile(path), "r+");
  writeSync(descriptor, Float64Array.of(value), 0, 8, 8 * place);
  closeSync(descriptor);
}

/** Resolves while another thread has its turn. */
async function another(role: TurnTakerData["role"], path: string): Promise<Int32Array> {
  const word = new Int32Array(new SharedArrayBuffer(4));
  const thread = startThread("turn-taker", { path, role, ms: 200, word } satisfies TurnTakerData);
  const ended = once(thread, "exit");
  onTestFinished(async () => {
    expect(await ended).toEqual([0]);
  });
  while (Atomics.load(word, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return word;
}

it("who writes commits when the one who opens the store has done so", async () => {
  const path = folder();
  const turns = writer(path);
  const word = await another("opens", path);
  expect(Atomics.load(word, 0)).toBe(1);
  expect(turns.run(() => Atomics.load(word, 0))).toBe(2);
});

it("who opens the store does so when the one who writes has committed", async () => {
  const path = folder();
  writer(path);
  const word = await another("commits", path);
  expect(Atomics.load(word, 0)).toBe(1);
  expect(whileNobodyCommits(path, () => Atomics.load(word, 0))).toBe(2);
});

it("who opens the store does not wait for a process that was killed while it committed", () => {
  const path = folder();
  writer(path);
  const { pid } = spawnSync(process.execPath, ["--version"]);
  say(path, 0, pid);
  expect(whileNobodyCommits(path, () => "opened")).toBe("opened");
});

it("who writes waits for one that was killed while it opened the store, but not for long", () => {
  const path = folder();
  const until = Date.now() + 200;
  const turns = writer(path);
  say(path, 10, until);
  expect(turns.run(() => Date.now())).toBeGreaterThanOrEqual(until);
  // Of a time when the clock was wrong.
  say(path, 10, Date.now() + 3_600_000);
  expect(turns.run(() => "committed")).toBe("committed");
});

it("who opens a store that nobody has written to makes no file", () => {
  const path = folder();
  expect(whileNobodyCommits(path, () => "opened")).toBe("opened");
  expect(existsSync(turnsFile(path))).toBe(false);
});

it("gives the turn back when what is done in it fails", () => {
  const path = folder();
  const turns = writer(path);
  const fail = () => {
    throw new Error("no");
  };
  expect(() => turns.run(fail)).toThrow("no");
  expect(() => whileNobodyCommits(path, fail)).toThrow("no");
  expect(readFileSync(turnsFile(path)).every((byte) => byte === 0)).toBe(true);
});
