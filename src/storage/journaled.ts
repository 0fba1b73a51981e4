import { randomBytes } from "node:crypto";
import { RaftError } from "../raft/errors.ts";
import { corrupt, decodeRecord } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { JOURNAL_BYTES, JournalFile, journalBytes } from "./journal-file.ts";
import { encodeJournalRecord, ID_BYTES, JOURNAL_FORMAT, readJournal } from "./journal-format.ts";
import { type JournalPointer, metaWrite } from "./layout.ts";
import { type EnvironmentOptions, openEnvironment } from "./lmdb-records.ts";
import { Overlaid } from "./overlaid.ts";
import type {
  FrozenTable,
  KeyedRecord,
  KeyRange,
  NumberedTable,
  ReadableRecords,
  Records,
  RecordWrite,
  Table,
} from "./records.ts";

/** What is as long goes past the journal: a flush more is little beside it, and to write it twice is not. */
const DIRECT_BYTES = 128 << 10;
/** How many removals may wait: who reads a range of keys reads past them. */
const MOST_REMOVALS = 1_024;

/**
 * The records of the store in the folder `path`, whatever its last user has left of it. With durability `disk` they have a
 * journal: LMDB waits for the disk twice in a commit, for its pages and then for the one that names them; a journal waits
 * once.
 * @throws RaftError `ERR_STORAGE_CORRUPT`; `ERR_STORAGE_LOST` when another version's journal waits in it; whatever else
 * LMDB and the file system throw.
 */
export async function openJournaled(options: EnvironmentOptions): Promise<Records> {
  const { path, durability, gate } = options;
  const base = await openEnvironment(options);
  try {
    const before = journalPointer(base);
    const pending = before === null ? [] : pendingWrites(path, before);
    if (durability === "process") {
      if (before !== null) base.commit([...pending, metaWrite("journal", null)]);
      return base;
    }
    const file = gate.run(() => new JournalFile(path));
    try {
      const id = randomBytes(ID_BYTES);
      // From here on nothing that stands in the file now counts.
      base.commit([...pending, metaWrite("journal", pointerOf(id, 0))]);
      return new JournaledRecords(base, file, id, gate);
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (error) {
    await base.close().catch(() => {});
    throw error;
  }
}

/** Null when the store was closed, or never had a journal: then a file that is there says nothing. */
export function journalPointer(records: Pick<ReadableRecords, "get">): JournalPointer | null {
  const record = records.get("meta", "journal");
  return record === undefined ? null : (decodeRecord("meta", "journal", record) as JournalPointer | null);
}

/**
 * What the journal of a store holds that its tables do not.
 * @throws RaftError `ERR_STORAGE_CORRUPT`; `ERR_STORAGE_LOST` when another version wrote it.
 */
export function pendingWrites(path: string, pointer: JournalPointer): RecordWrite[] {
  if (pointer.format !== JOURNAL_FORMAT) {
    const text = `its journal was written by another version, in format ${pointer.format}; this one knows ${JOURNAL_FORMAT}`;
    throw new RaftError("ERR_STORAGE_LOST", `the store was not closed, and ${text}`);
  }
  const bytes = journalBytes(path);
  if (bytes === undefined) throw corrupt("the store was not closed, and its journal is not there, or was cut off");
  return readJournal(bytes, pointer);
}

/**
 * Records with a journal in front of them. A commit is written there and waits, in memory too, until the journal is full;
 * then all that waits goes into the tables in one transaction, with the number up to which it did.
 */
class JournaledRecords implements Records {
  readonly #base: Records;
  readonly #file: JournalFile;
  readonly #id: Buffer;
  readonly #gate: Gate;
  /** What stands in the file. What waits are views of it. */
  readonly #journal = new Uint8Array(JOURNAL_BYTES);
  readonly #overlaid: Overlaid;
  /** Of the last record, or of what went past the journal. */
  #number = 0;
  /** Where the next one goes. */
  #at = 0;
  #hasFailed = false;

  constructor(base: Records, file: JournalFile, id: Buffer, gate: Gate) {
    this.#base = base;
    this.#file = file;
    this.#id = id;
    this.#gate = gate;
    this.#overlaid = new Overlaid(base);
  }

  commit(writes: readonly RecordWrite[]): void {
    try {
      if (!this.#append(writes)) this.#takeOver(writes);
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  get(table: Table, key: string | number): Uint8Array | undefined {
    return this.#overlaid.get(table, key);
  }

  floor(table: NumberedTable, key: number): number | undefined {
    return this.#overlaid.floor(table, key);
  }

  keysFrom(table: NumberedTable, key: number, limit?: number): number[] {
    return this.#overlaid.keysFrom(table, key, limit);
  }

  page(range: KeyRange): KeyedRecord[] {
    return this.#overlaid.page(range);
  }

  machineKeys(range: KeyRange): string[] {
    return this.#overlaid.machineKeys(range);
  }

  freeze(): FrozenTable {
    return this.#overlaid.freeze();
  }

  /** Leaves a store that needs no journal, unless a commit has failed: what waits is on the disk, whatever happens. */
  async close(): Promise<void> {
    try {
      if (!this.#hasFailed) this.#base.commit([...this.#overlaid.writes(), metaWrite("journal", null)]);
    } catch {
      // Whoever opens the store next takes it over.
    } finally {
      try {
        this.#gate.run(() => this.#file.close());
      } finally {
        await this.#base.close();
      }
    }
  }

  /** @returns whether there was room. */
  #append(writes: readonly RecordWrite[]): boolean {
    const bytes = writes.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
    if (bytes >= DIRECT_BYTES || this.#overlaid.removals >= MOST_REMOVALS) return false;
    const record = encodeJournalRecord(this.#journal, this.#at, this.#id, this.#number + 1, writes);
    if (record === undefined) return false;
    this.#gate.run(() => this.#file.write(this.#journal, this.#at, record.end));
    this.#overlaid.add(record.writes);
    this.#number = record.number;
    this.#at = record.end;
    return true;
  }

  /**
   * Puts what waits into the tables, and `writes` behind it, which take a number as a record would: the journal, which begins
   * anew, fits no tables but these.
   */
  #takeOver(writes: readonly RecordWrite[]): void {
    this.#number++;
    this.#base.commit([...this.#overlaid.writes(), ...writes, metaWrite("journal", pointerOf(this.#id, this.#number))]);
    this.#overlaid.clear();
    this.#at = 0;
  }
}

function pointerOf(id: Buffer, taken: number): JournalPointer {
  return { format: JOURNAL_FORMAT, id: id.toString("hex"), taken };
}
