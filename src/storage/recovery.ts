import { RaftError } from "../raft/errors.ts";
import { corrupt, decodeRecord } from "./codec.ts";
import { journalBytes } from "./journal-file.ts";
import { JOURNAL_FORMAT, type RecordInFile, readJournal, recordsIn } from "./journal-format.ts";
import type { JournalPointer } from "./layout.ts";
import { type Place, Places } from "./places.ts";
import type { ReadableRecords, RecordWrite } from "./records.ts";
import { valueFileBytes } from "./value-files.ts";

/** Null when the store was closed, or never had a journal: then a file that is there says nothing. */
export function journalPointer(tables: Pick<ReadableRecords, "get">): JournalPointer | null {
  const record = tables.get("meta", "journal");
  return record === undefined ? null : (decodeRecord("meta", "journal", record) as JournalPointer | null);
}

/** What a store holds beside its tables. */
export interface Beside {
  /** What the journal and the value files have behind what was taken over into the tables. */
  readonly writes: readonly RecordWrite[];
  /** Where its long values stand, with these writes. */
  readonly places: Places;
}

/**
 * Reads what a store in the folder `path` holds beside its tables.
 * @param stored what the table of places holds.
 * @param isWritten whether somebody may be writing to it meanwhile.
 * @throws RaftError `ERR_STORAGE_CORRUPT`; `ERR_STORAGE_LOST` when another version wrote it.
 */
export function readBeside(
  path: string,
  pointer: JournalPointer | null,
  stored: Iterable<readonly [key: number, place: Place]>,
  isWritten: boolean,
): Beside {
  const places = new Places(stored);
  const records = pointer === null ? [] : pendingRecords(path, pointer, isWritten);
  for (const { writes, long, file } of records) places.follow(writes, long, { file, at: 0 });
  return { writes: records.flatMap(({ writes }) => writes), places };
}

function pendingRecords(path: string, pointer: JournalPointer, isWritten: boolean): RecordInFile[] {
  if (pointer.format !== JOURNAL_FORMAT) {
    const text = `its journal was written by another version, in format ${pointer.format}; this one knows ${JOURNAL_FORMAT}`;
    throw new RaftError("ERR_STORAGE_LOST", `the store was not closed, and ${text}`);
  }
  const read = () => {
    const journal = journalBytes(path);
    if (journal === undefined) throw corrupt("the store was not closed, and its journal is not there, or was cut off");
    return { journal, values: pointer.values.files.map((file) => valueFileBytes(path, file)) };
  };
  let { journal, values } = read();
  let upTo: number | undefined;
  if (isWritten) {
    // One was read later than another, and may have a record behind one that was missed there. Read again, none of these is.
    upTo = recordsIn(journal, values, Buffer.from(pointer.id, "hex"));
    ({ journal, values } = read());
  }
  return readJournal(journal, values, pointer, upTo);
}
