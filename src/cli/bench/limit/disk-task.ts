import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { noGate } from "../../../storage/gate.ts";
import { prepareFolder } from "../../../storage/lmdb-file.ts";
import { openEnvironment } from "../../../storage/lmdb-records.ts";
import type { Durability } from "../../../storage/store.ts";
import { Latencies } from "../latencies.ts";

/** What a thread is to write. */
export interface DiskTask {
  /** `sync`: writes of a file, each with an fdatasync; `commit`: transactions of LMDB, of one record of the log each. */
  readonly kind: "sync" | "commit";
  /** A folder of its own, or for `sync` a file. */
  readonly path: string;
  readonly durability: Durability;
  /** Of one write. */
  readonly bytes: number;
  /** For which it is measured, after a warm-up of the same length. */
  readonly seconds: number;
  /** An Int32: the thread adds 1 when it is ready, and begins when the first bit of the other word is set. */
  readonly start: SharedArrayBuffer;
}

export interface DiskFigures {
  readonly writes: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Writes as often as the disk allows. */
export default async function write(task: DiskTask): Promise<DiskFigures> {
  const { kind, path, durability, bytes, start } = task;
  const data = new Uint8Array(bytes).fill(120);
  if (kind === "sync") {
    const file = openSync(path, "w");
    try {
      // A file that grows would have its size written, too.
      writeSync(file, data, 0, bytes, 0);
      return measure(task, start, () => {
        writeSync(file, data, 0, bytes, 0);
        fdatasyncSync(file);
      });
    } finally {
      closeSync(file);
    }
  }
  prepareFolder(path);
  const records = await openEnvironment({ path, durability, gate: noGate });
  try {
    let key = 1;
    return measure(task, start, () => {
      records.commit([{ table: "log", key: key++, value: data, append: true }]);
    });
  } finally {
    await records.close();
  }
}

function measure({ seconds }: DiskTask, start: SharedArrayBuffer, once: () => void): DiskFigures {
  const words = new Int32Array(start);
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
  Atomics.wait(words, 1, 0);
  for (const until = performance.now() + seconds * 1_000; performance.now() < until; ) once();
  const latencies = new Latencies();
  const from = performance.now();
  let now = from;
  while (now < from + seconds * 1_000) {
    once();
    const after = performance.now();
    latencies.record(after - now);
    now = after;
  }
  const [p50, p99] = [latencies.quantile(0.5), latencies.quantile(0.99)];
  return { writes: latencies.count, seconds: (now - from) / 1_000, p50, p99 };
}
