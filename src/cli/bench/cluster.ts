import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { SupervisorOptions } from "../../actors/options.ts";
import { Supervisor } from "../../actors/supervisor.ts";
import { journalBytes, journalFile } from "../../storage/journal-file.ts";
import { recordsIn } from "../../storage/journal-format.ts";
import { dataFile } from "../../storage/lmdb-file.ts";
import { checkPages } from "../../storage/pages.ts";
import { valueFile, valueFileBytes, valueFilesIn } from "../../storage/value-files.ts";
import type { BenchContext } from "./bench.ts";

/** A cluster that is measured. */
export interface BenchCluster extends AsyncDisposable {
  readonly supervisor: Supervisor;
  /**
   * How often all peers have written so far, a record to the journal or a transaction of LMDB; with durability "disk" each
   * waited for the disk. Undefined when a file cannot be read soundly.
   */
  writes(): number | undefined;
  /** What the peers' files take on the disk, in MB. */
  diskMb(): number;
}

/** Starts a cluster in a folder of its own below the benchmark's; resolves when all peers are up and one leads. */
export async function startCluster(
  context: Pick<BenchContext, "folder" | "signal">,
  options: SupervisorOptions,
): Promise<BenchCluster> {
  context.signal.throwIfAborted();
  const directory = await mkdtemp(join(context.folder, "cluster-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  const supervisor = await Supervisor.start({ ...options, directory }).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const paths = supervisor.peers.map(({ id }) => join(directory, id));
  const cluster: BenchCluster = {
    supervisor,
    writes: () => {
      const counts = paths.map(writesOf).filter((count) => count !== undefined);
      return counts.length < paths.length ? undefined : counts.reduce((sum, count) => sum + count, 0);
    },
    diskMb() {
      let blocks = 0;
      for (const path of paths) {
        const files = [
          dataFile(path),
          journalFile(path),
          ...valueFilesIn(path).map((number) => valueFile(path, number)),
        ];
        for (const file of files) blocks += statSync(file, { throwIfNoEntry: false })?.blocks ?? 0;
      }
      return (blocks * 512) / 2 ** 20;
    },
    async [Symbol.asyncDispose]() {
      await supervisor.stop();
      await remove();
    },
  };
  try {
    await Promise.all(supervisor.peers.map((peer) => peer.start()));
    await supervisor.leader({ signal: context.signal });
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

/** How often a file is read while its peer writes to it, before it is given up. */
const ATTEMPTS = 5;

function writesOf(path: string): number | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { value } = checkPages(path, "metas").next();
    if (typeof value !== "object" || value.problems.length > 0) continue;
    return value.transaction + recordsIn(journalBytes(path) ?? NOTHING, [latestValues(path)]);
  }
  return undefined;
}

const NOTHING = new Uint8Array();

/** The value file that was written to last. */
function latestValues(path: string): Uint8Array {
  const files = valueFilesIn(path).map((number) => ({ number, at: statSync(valueFile(path, number)).mtimeMs }));
  const [latest] = files.sort((a, b) => b.at - a.at);
  return latest === undefined ? NOTHING : valueFileBytes(path, latest.number);
}

const POLL_MS = 1;

/** Waits until something holds. @throws Error that names it when that takes too long. */
export async function until(
  { signal }: Pick<BenchContext, "signal">,
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 120_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not after ${timeoutMs / 1_000} s`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
