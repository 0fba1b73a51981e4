import { Worker } from "node:worker_threads";
import { expect, it, onTestFinished } from "vitest";
import { ring, rings, sleep } from "../../src/actors/bell.ts";

const newBells = () => new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));

it("does not sleep when the bell has rung since the ports were looked into", () => {
  const bells = newBells();
  const heard = rings(bells, 1);
  ring(bells, 1);
  sleep(bells, 1, heard, Number.POSITIVE_INFINITY);
  expect(rings(bells, 1)).not.toBe(heard);
});

it("sleeps no longer than it is told when nobody rings, and not at all when that time has passed", () => {
  const bells = newBells();
  sleep(bells, 0, rings(bells, 0), 1);
  sleep(bells, 0, rings(bells, 0), -1);
});

it("wakes the sleeper that it is for", async () => {
  const bells = newBells();
  const sleeper = new Worker(
    `const { workerData: bells, parentPort } = require("node:worker_threads");
     parentPort.postMessage(Atomics.wait(bells, 1, 0));`,
    { eval: true, workerData: bells },
  );
  onTestFinished(async () => {
    await sleeper.terminate();
  });
  const woken = new Promise((resolve) => sleeper.once("message", resolve));
  // Rings at the other door until there is somebody to wake at this one.
  ring(bells, 0);
  ring(bells, 1);
  expect(["ok", "not-equal"]).toContain(await woken);
});
