import { randomBytes } from "node:crypto";
import { invariant } from "../raft/errors.ts";
import type { Gate } from "./gate.ts";
import { JOURNAL_BYTES, JournalFile } from "./journal-file.ts";
import {
  blockBehind,
  encodeJournalRecord,
  ID_BYTES,
  isLong,
  JOURNAL_FORMAT,
  type JournalRecord,
  recordBytes,
} from "./journal-format.ts";
import { type JournalPointer, metaWrite, type ValueRow } from "./layout.ts";
import { type EnvironmentOptions, openEnvironment, type TableRecords } from "./lmdb-records.ts";
import { Overlaid } from "./overlaid.ts";
import { type Places, type PlaceWrite, placedValue } from "./places.ts";
import type { FrozenTable, KeyedRecord, KeyRange, NumberedTable, Records, RecordWrite, Table } from "./records.ts";
import { journalPointer, readBeside } from "./recovery.ts";
import { ValueFiles } from "./value-files.ts";

/** So many bytes of long values in a save are not written twice, first to the journal and then to the tables. */
const VALUE_FILE_FROM_BYTES = 32 << 10;
/** The same for all others, which go past the journal into the tables at once: a flush more is little beside so much. */
const DIRECT_BYTES = 128 << 10;
/** How many removals may wait: who reads a range of keys reads past them. */
const MOST_REMOVALS = 1_024;
/** How much is moved at a time from value files into the tables. */
const MOVED_BYTES = 16 << 20;

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
    const { writes, places } = readBeside(path, before, base.places(), false);
    if (durability === "process") {
      if (before !== null) base.commit([...writes, metaWrite("journal", null)], places.takeChanges());
      moveIntoTables(base, new ValueFiles(path, gate), places);
      return base;
    }
    const files = { journal: gate.run(() => new JournalFile(path)), values: new ValueFiles(path, gate) };
    try {
      const id = randomBytes(ID_BYTES);
      // Whoever wrote them may have died before they were on the disk, and the tables are about to name them.
      for (const file of before?.values.files ?? []) files.values.sync(file);
      const row = files.values.choose(places.files, () => base.isRead());
      // From here on nothing counts that stands in the journal now.
      base.commit([...writes, metaWrite("journal", pointerOf(id, 0, row))], places.takeChanges());
      files.values.removeUnused(places.files, () => base.isRead(), Number.POSITIVE_INFINITY);
      return new JournaledRecords(base, files, places, id, gate);
    } catch (error) {
      gate.run(() => files.journal.close());
      throw error;
    }
  } catch (error) {
    await base.close().catch(() => {});
    throw error;
  }
}

/** For a store whose tables are to hold all that there is. */
function moveIntoTables(base: TableRecords, files: ValueFiles, places: Places): void {
  let moved: { readonly write: RecordWrite; readonly place: PlaceWrite }[] = [];
  let bytes = 0;
  const commit = () => {
    if (moved.length === 0) return;
    base.commit(
      moved.map(({ write }) => write),
      moved.map(({ place }) => place),
    );
    [moved, bytes] = [[], 0];
  };
  for (const [placeKey, place] of places) {
    const { table, key } = placedValue(placeKey);
    moved.push({ write: { table, key, value: files.read(place) }, place: { key: placeKey, place: undefined } });
    bytes += place.byteLength;
    if (bytes >= MOVED_BYTES) commit();
  }
  commit();
  files.clear(() => base.isRead());
}

interface Files {
  readonly journal: JournalFile;
  readonly values: ValueFiles;
}

/**
 * Records with a journal in front of them. A commit is written there and waits, in memory too, until the journal is full;
 * then all that waits goes into the tables in one transaction, with the number up to which it did. Long values are written
 * to a value file instead, and stay there: the tables have their places.
 */
class JournaledRecords implements Records {
  readonly #base: TableRecords;
  readonly #files: Files;
  readonly #places: Places;
  readonly #id: Buffer;
  readonly #gate: Gate;
  /** What stands in the journal. What waits are views of it. */
  readonly #journal = new Uint8Array(JOURNAL_BYTES);
  readonly #overlaid: Overlaid;
  /** Of the last record, or of what went past the journal. */
  #number = 0;
  /** Where the next one goes in the journal. */
  #at = 0;
  #hasFailed = false;

  constructor(base: TableRecords, files: Files, places: Places, id: Buffer, gate: Gate) {
    this.#base = base;
    this.#files = files;
    this.#places = places;
    this.#id = id;
    this.#gate = gate;
    this.#overlaid = new Overlaid(base);
  }

  commit(writes: readonly RecordWrite[]): void {
    try {
      const long = bytesOf(writes.filter(isLong));
      const short = bytesOf(writes) - long;
      if (short >= DIRECT_BYTES) this.#takeOver(writes);
      else if (long >= VALUE_FILE_FROM_BYTES) this.#appendLong(writes, long);
      else this.#append(writes);
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  get(table: Table, key: string | number): Uint8Array | undefined {
    const place = this.#places.find(table, key);
    return place === undefined ? this.#overlaid.get(table, key) : this.#files.values.read(place);
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
      if (!this.#hasFailed) {
        this.#base.commit([...this.#overlaid.writes(), metaWrite("journal", null)], this.#places.takeChanges());
      }
    } catch {
      // Whoever opens the store next takes it over.
    } finally {
      try {
        this.#gate.run(() => this.#files.journal.close());
        this.#files.values.close();
      } finally {
        await this.#base.close();
      }
    }
  }

  #append(writes: readonly RecordWrite[]): void {
    const hasRoom = this.#overlaid.removals < MOST_REMOVALS;
    const record = hasRoom
      ? encodeJournalRecord(this.#journal, this.#at, this.#id, this.#number + 1, writes)
      : undefined;
    if (record === undefined) {
      this.#takeOver(writes);
      return;
    }
    this.#gate.run(() => this.#files.journal.write(this.#journal, this.#at, record.end));
    this.#at = record.end;
    this.#follow(record);
  }

  /** @param long how many bytes the long ones of the values take. */
  #appendLong(writes: readonly RecordWrite[], long: number): void {
    const { values } = this.#files;
    const header = new Uint8Array(blockBehind(recordBytes(writes)));
    if (this.#overlaid.removals >= MOST_REMOVALS) this.#takeOver([]);
    while (!values.findRoom(header.byteLength + long, () => this.#base.isRead())) this.#takeOver([]);
    const record = encodeJournalRecord(header, 0, this.#id, this.#number + 1, writes, false);
    invariant(record !== undefined, () => `a record takes more than its ${header.byteLength} bytes`);
    const from = values.write([
      header,
      ...writes.flatMap((write) => (isLong(write) && write.value ? [write.value] : [])),
    ]);
    this.#follow(record, from);
  }

  /** @param from where a record with long values begins. */
  #follow({ number, writes, long }: JournalRecord, from?: Parameters<Places["follow"]>[2]): void {
    this.#overlaid.add(writes);
    this.#places.follow(writes, long, from);
    this.#number = number;
  }

  /**
   * Puts what waits into the tables, and `writes` behind it, which take a number as a record would: the journal, which begins
   * anew, fits no tables but these.
   */
  #takeOver(writes: readonly RecordWrite[]): void {
    this.#number++;
    this.#places.follow(writes);
    const { values } = this.#files;
    const isRead = () => this.#base.isRead();
    const row = values.choose(this.#places.files, isRead);
    const pointer = pointerOf(this.#id, this.#number, row);
    this.#base.commit(
      [...this.#overlaid.writes(), ...writes, metaWrite("journal", pointer)],
      this.#places.takeChanges(),
    );
    this.#overlaid.clear();
    this.#at = 0;
    values.removeUnused(this.#places.files, isRead);
  }
}

function bytesOf(writes: readonly RecordWrite[]): number {
  return writes.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
}

function pointerOf(id: Buffer, taken: number, values: ValueRow): JournalPointer {
  return { format: JOURNAL_FORMAT, id: id.toString("hex"), taken, values };
}
