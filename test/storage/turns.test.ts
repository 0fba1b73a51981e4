import { once } from "node:events";
import { existsSync, openSync, readFileSync, writeSync } from "node:fs";
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

it("both go on though the other one has died in its turn", () => {
  const path = folder();
  writer(path);
  const descriptor = openSync(turnsFile(path), "r+");
  writeSync(descriptor, Uint8Array.of(1), 0, 1, 0);
  expect(whileNobodyCommits(path, () => "opened")).toBe("opened");
  writeSync(descriptor, Float64Array.of(Date.now() + 100), 0, 8, 80);
  expect(writer(path).run(() => "committed")).toBe("committed");
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
