import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../usage.ts";
import { isInMemory } from "./machine.ts";

/** A folder that is removed at the end. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * A folder on a disk: in `parent`, or else where temporary files are, unless that is memory.
 * @throws UsageError when there is no disk there, or nothing can be written.
 */
export async function temporaryFolder(parent: string | undefined): Promise<TemporaryFolder> {
  const place = parent ?? [tmpdir(), "/var/tmp", process.cwd()].find(isOnDisk);
  if (place === undefined) throw new UsageError("temporary files are in memory here: name a folder with --directory");
  if (parent !== undefined && !isOnDisk(parent)) {
    throw new UsageError(`--directory: "${parent}" is not there, or in memory, where an fsync costs nothing`);
  }
  const path = await mkdtemp(join(place, "flotilla-bench-")).catch((error: Error) => {
    throw new UsageError(`no folder can be made in "${place}": ${error.message}; name another with --directory`);
  });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function isOnDisk(folder: string): boolean {
  try {
    return !isInMemory(folder);
  } catch {
    return false;
  }
}
