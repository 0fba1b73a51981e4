import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { BenchContext } from "../../../src/cli/bench/bench.ts";
import { type Load, WAYS } from "../../../src/cli/bench/load.ts";
import { startLoadThread } from "../../../src/cli/bench/load-thread.ts";

const LOAD: Load = { peers: 1, bytes: 16, outstanding: 2, durability: "process" };
const BRIEFLY = { warmUpSeconds: 0.05, seconds: 0.05 };

function context(signal = new AbortController().signal): BenchContext {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-load-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, signal, progress: () => {}, skip: () => {} };
}

test("a load runs in a thread of its own, which tells what of the CPU it took itself", async () => {
  await using thread = startLoadThread();
  const { figures, latencies, failure } = await thread.run(context(), LOAD, BRIEFLY);
  expect(failure).toBeUndefined();
  expect(latencies.count).toBeGreaterThan(0);
  expect(latencies.quantile(0.5)).toBeGreaterThan(0);
  expect(figures["commits/s"]).toBeGreaterThan(0);
  expect(figures["generator %"]).toBeGreaterThan(0);
  if (process.platform !== "linux") return;
  expect(figures["app's thread %"]).toBeGreaterThan(0);
  expect(figures["app's thread %"]).toBeLessThan(100);
  expect(figures["app's thread busy %"]).toBeGreaterThan(0);
});

test.each(WAYS)("the commands of a load may be carried by the %s", async (by) => {
  await using thread = startLoadThread();
  const { figures, failure } = await thread.run(context(), { ...LOAD, by }, BRIEFLY);
  expect(failure).toBeUndefined();
  expect(figures["commits/s"]).toBeGreaterThan(0);
});

test("a run that fails says why, and the thread runs the next one", async () => {
  await using thread = startLoadThread();
  const gone = { ...context(), folder: "/nowhere" };
  await expect(thread.run(gone, LOAD, BRIEFLY)).rejects.toThrow(/ENOENT.*\/nowhere/);
  expect((await thread.run(context(), LOAD, BRIEFLY)).latencies.count).toBeGreaterThan(0);
});

test("a run that is ended early ends, and leaves nothing behind", async () => {
  await using thread = startLoadThread();
  const controller = new AbortController();
  const where = context(controller.signal);
  const run = thread.run(where, LOAD, { warmUpSeconds: 3_600, seconds: 1 });
  const settled = run.catch(() => {});
  await vi.waitFor(() => expect(readdirSync(where.folder)).not.toEqual([]), { timeout: 60_000 });
  controller.abort(new Error("enough"));
  await settled;
  await expect(run).rejects.toThrow("enough");
  expect(readdirSync(where.folder)).toEqual([]);
});
