import assert from "node:assert/strict";
import type { Save } from "../../raft/effects.ts";
import {
  type Batch,
  batchPosition,
  EntryKind,
  forEachEntry,
  packEntries,
  parseBatch,
  sliceBatch,
  stampBatch,
  stampPosition,
} from "../../raft/entry.ts";
import { RaftError, type RaftErrorCode } from "../../raft/errors.ts";
import type { Store, StoreOptions } from "../store.ts";

/** One place where stores can be, and nothing there at first. */
export interface StoreFixture {
  /** Opens the store that is there, or makes it. The one opened before has been closed. */
  open(options: StoreOptions): Promise<Store>;
  /** What a crash and a restart do: drops the store that is open without closing it, and opens it again. */
  reopen(options: StoreOptions): Promise<Store>;
  /** Removes all, open or not. */
  destroy(): Promise<void>;
}

/** Makes places for stores, each on its own. */
export interface StoreFactory {
  create(): Promise<StoreFixture>;
}

/** A test. It passes when `run` resolves. */
export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/** A test that has yet to be given its place. */
export interface CaseBody {
  readonly name: string;
  body(fixture: StoreFixture): Promise<void>;
}

export const UNBORN: StoreOptions = {
  identity: { cluster: "c1", peer: "a", store: "s1" },
  configuration: { voters: ["a", "b", "c"] },
  born: false,
};
export const BORN: StoreOptions = { ...UNBORN, born: true };

/** Bytes of a given length that differ from those of other seeds. */
export function dataOf(seed: number, byteLength: number): Uint8Array {
  const data = new Uint8Array(byteLength);
  for (let at = 0; at < byteLength; at++) data[at] = (seed * 31 + at * 7) & 0xff;
  return data;
}

/** What one entry comes to when it is compared. */
export interface PlainEntry {
  readonly index: number;
  readonly term: number;
  readonly time: number;
  readonly kind: EntryKind;
  readonly data: string;
}

export function plainEntries(batches: readonly Batch[]): PlainEntry[] {
  const entries: PlainEntry[] = [];
  for (const batch of batches) {
    forEachEntry(batch, batch.firstIndex, (index, kind, data) => {
      entries.push({ index, term: batch.term, time: batch.time, kind, data: Buffer.from(data).toString("latin1") });
    });
  }
  return entries;
}

/**
 * A store and what should be in it: saves to both, and compares. What should be there are batches in an array, copied
 * before the store sees them.
 */
export class Subject {
  store: Store;
  readonly batches: Batch[];

  constructor(store: Store) {
    this.store = store;
    this.batches = copyOf(store.read(store.state.firstIndex, Number.POSITIVE_INFINITY));
  }

  get lastIndex(): number {
    return this.batches.at(-1)?.lastIndex ?? 0;
  }

  get lastTerm(): number {
    return this.batches.at(-1)?.term ?? 0;
  }

  get endPosition(): number {
    const last = this.batches.at(-1);
    return last === undefined ? 0 : batchPosition(last) + last.bytes.byteLength;
  }

  /** Saves batches of entries with the given data; all of one term, by default that of the last entry. */
  append(data: readonly (readonly Uint8Array[])[], change: Partial<Save> & { term?: number } = {}): void {
    const { truncateFrom, hardState, term = this.lastTerm } = change;
    if (truncateFrom !== undefined) this.#truncate(truncateFrom);
    const batches = data.map((items) => this.prepare(items, term));
    this.store.save({ hardState, truncateFrom, batches });
  }

  /** A batch that comes next; from now on it should be in the store. */
  prepare(data: readonly Uint8Array[], term: number): Batch {
    const at = { firstIndex: this.lastIndex + 1, term, time: 1_000 + this.lastIndex };
    const batch = stampBatch(packEntries(EntryKind.command, data), at);
    stampPosition(batch, this.endPosition);
    this.batches.push(...copyOf([batch]));
    return batch;
  }

  /** Compares all that can be read with what should be there, and what the store said when it was opened if `fresh`. */
  check({ fresh }: { fresh: boolean }): void {
    const first = this.batches[0]?.firstIndex ?? 1;
    assert.deepEqual(
      plainEntries(this.store.read(first, Number.POSITIVE_INFINITY)),
      plainEntries(this.batches),
      "the entries of the log",
    );
    if (!fresh) return;
    const { state } = this.store;
    assert.equal(state.firstIndex, first, "firstIndex");
    assert.equal(state.lastIndex, this.lastIndex, "lastIndex");
    assert.equal(state.lastTime, this.batches.at(-1)?.time, "lastTime");
    assert.deepEqual(state.terms, this.#terms(), "terms");
    assert.equal(state.firstPosition, 0, "firstPosition");
    assert.equal(state.endPosition, this.endPosition, "endPosition");
  }

  #terms(): { firstIndex: number; term: number }[] {
    return this.batches
      .filter((batch, at) => batch.term !== this.batches[at - 1]?.term)
      .map(({ firstIndex, term }) => ({ firstIndex, term }));
  }

  #truncate(from: number): void {
    while ((this.batches.at(-1)?.firstIndex ?? 0) >= from) this.batches.pop();
    const last = this.batches.pop();
    if (last !== undefined) this.batches.push(sliceBatch(last, last.firstIndex, from - 1));
  }
}

function copyOf(batches: readonly Batch[]): Batch[] {
  return batches.map((batch) => parseBatch(batch.bytes.slice()));
}

/** Opens a store in its place for the first time. */
export async function begin(fixture: StoreFixture): Promise<Subject> {
  return new Subject(await fixture.open(UNBORN));
}

/** Crashes the store and compares what comes back. */
export async function crashAndCheck(fixture: StoreFixture, subject: Subject): Promise<void> {
  subject.store = await fixture.reopen(BORN);
  subject.check({ fresh: true });
}

/** Expects a rejection of ours, and looks at its message. */
export async function assertRejects(
  attempt: Promise<unknown>,
  code: RaftErrorCode,
  ...mentions: string[]
): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof RaftError, `expected a RaftError, got ${error}`);
    assert.equal(error.code, code);
    for (const mention of mentions) assert.ok(error.message.includes(mention), `"${error.message}" names ${mention}`);
    return true;
  });
}
