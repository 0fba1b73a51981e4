import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { RaftRecord } from "../actors/record.ts";
import { RECORD_SUFFIX, readRecord } from "../actors/record-file.ts";

/**
 * The records that the peers of one cluster have left in a folder, see the option `record`; those of a peer in the order
 * of its lives. A life that ended before it began to speak may have none.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when a file is no record; the system's error when there is no such folder.
 */
export function readRecords(folder: string): readonly RaftRecord[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(RECORD_SUFFIX))
    .map((name) => readRecord(join(folder, name)))
    .filter((record) => record !== undefined)
    .sort((one, other) => incarnationOf(one) - incarnationOf(other));
}

function incarnationOf({ start }: RaftRecord): number {
  return start.options.incarnation ?? 0;
}
