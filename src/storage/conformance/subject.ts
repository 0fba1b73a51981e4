import assert from "node:assert/strict";
import { EMPTY_SAVE, type Save, type SnapshotChunk, type SnapshotInfo } from "../../raft/effects.ts";
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
import type { TermRun } from "../../raft/log.ts";
import type { AppliedState, Store, StoreOptions } from "../store.ts";

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

/** The entry before the log, and where it ends. */
interface Base {
  readonly index: number;
  readonly time: number;
  readonly position: number;
}

/**
 * A store and what should be in it: saves to both, and compares. What should be there are batches in an array, copied
 * before the store sees them, and chunks in another.
 */
export class Subject {
  store: Store;
  readonly batches: Batch[];
  base: Base = { index: 0, time: 0, position: 0 };
  info: SnapshotInfo | undefined;
  applied: AppliedState | undefined;
  chunks: readonly Uint8Array[] = [];
  staged: Uint8Array[] = [];
  /** The terms of all entries, those compacted away included; after an installation from its last entry on. */
  #terms: TermRun[];

  constructor(store: Store) {
    this.store = store;
    this.batches = copyOf(store.read(store.state.firstIndex, Number.POSITIVE_INFINITY));
    this.#terms = this.batches.map(({ firstIndex, term }) => ({ firstIndex, term }));
  }

  get lastIndex(): number {
    return this.batches.at(-1)?.lastIndex ?? this.base.index;
  }

  get lastTerm(): number {
    return this.#terms.at(-1)?.term ?? 0;
  }

  get endPosition(): number {
    const last = this.batches.at(-1);
    return last === undefined ? this.base.position : batchPosition(last) + last.bytes.byteLength;
  }

  /** The chunks to be saved next, as numbered behind those that are set aside, or from 0 on. */
  numbered(data: readonly Uint8Array[], from = this.staged.length): SnapshotChunk[] {
    return data.map((chunk, at) => ({ number: from + at, data: chunk }));
  }

  /** Of a snapshot of these chunks, by default those that are set aside, and of an entry of the log, by default the last. */
  infoOf(chunks: readonly Uint8Array[] = this.staged, index = this.lastIndex): SnapshotInfo {
    return {
      index,
      term: this.#terms.findLast((run) => run.firstIndex <= index)?.term ?? 0,
      time: this.batches.find((batch) => batch.lastIndex >= index)?.time ?? 7_000,
      configuration: { voters: ["c", "b", "a"] },
      version: 3,
      chunks: chunks.length,
      bytes: chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0),
    };
  }

  /** Saves batches of entries with the given data; all of one term, by default that of the last entry. */
  append(
    data: readonly (readonly Uint8Array[])[],
    change: Partial<Omit<Save, "batches">> & { term?: number } = {},
  ): void {
    const { term, ...rest } = change;
    const save = { ...EMPTY_SAVE, ...rest };
    this.#expectChunks(save);
    if (save.resetTo !== undefined) this.#reset(save.resetTo);
    if (save.truncateFrom !== undefined) this.#truncate(save.truncateFrom);
    const batches = data.map((items) => this.prepare(items, term ?? this.lastTerm));
    if (save.compactTo !== undefined) this.#compact(save.compactTo);
    this.store.save({ ...save, batches });
  }

  /** A batch that comes next; from now on it should be in the store. */
  prepare(data: readonly Uint8Array[], term: number): Batch {
    const at = { firstIndex: this.lastIndex + 1, term, time: 1_000 + this.lastIndex };
    const batch = stampBatch(packEntries(EntryKind.command, data), at);
    stampPosition(batch, this.endPosition);
    if (term !== this.lastTerm) this.#terms.push({ firstIndex: batch.firstIndex, term });
    this.batches.push(...copyOf([batch]));
    return batch;
  }

  /** Compares all that can be read with what should be there, and what the store said when it was opened if `fresh`. */
  check({ fresh }: { fresh: boolean }): void {
    const firstIndex = this.base.index + 1;
    const found = this.batches.length === 0 ? [] : this.store.read(firstIndex, Number.POSITIVE_INFINITY);
    assert.deepEqual(plainEntries(found), plainEntries(this.batches), "the entries of the log");
    assert.deepEqual([...this.store.readSnapshot()].map(plain), this.chunks.map(plain), "the chunks of the snapshot");
    if (!fresh) return;
    const last = this.batches.at(-1);
    const { incarnation, used, hardState, ...state } = this.store.state;
    assert.deepEqual(state, {
      configuration: this.info?.configuration ?? UNBORN.configuration,
      snapshot: this.info,
      applied: this.applied,
      firstIndex,
      lastIndex: this.lastIndex,
      lastTime: last?.time ?? this.base.time,
      terms: this.#terms.slice(this.#runAt(Math.max(1, this.base.index))),
      firstPosition: this.batches[0] === undefined ? this.base.position : batchPosition(this.batches[0]),
      endPosition: this.endPosition,
    });
  }

  /** What is set aside is lost with the process. */
  reopened(store: Store): void {
    this.store = store;
    this.staged = [];
    this.check({ fresh: true });
  }

  /** Sweeps until nothing is left over. @returns in how many steps. */
  sweep(): number {
    const MOST = 100_000;
    for (let steps = 1; steps <= MOST; steps++) if (!this.store.sweep()) return steps;
    assert.fail(`still not swept after ${MOST} steps`);
  }

  #runAt(index: number): number {
    return this.#terms.findLastIndex((run) => run.firstIndex <= index);
  }

  #expectChunks({ chunks, snapshot }: Save): void {
    for (const { number, data } of chunks) {
      if (number === 0) this.staged = [];
      this.staged.push(data.slice());
    }
    if (snapshot === undefined) return;
    this.info = snapshot;
    this.chunks = this.staged;
    this.staged = [];
  }

  #reset({ index, term, time }: SnapshotInfo): void {
    this.base = { index, time, position: this.endPosition };
    this.batches.length = 0;
    this.#terms = [{ firstIndex: index, term }];
  }

  #truncate(from: number): void {
    if (from > this.lastIndex) return;
    while ((this.batches.at(-1)?.firstIndex ?? 0) >= from) this.batches.pop();
    const last = this.batches.pop();
    if (last !== undefined) this.batches.push(sliceBatch(last, last.firstIndex, from - 1));
    this.#terms = this.#terms.filter((run) => run.firstIndex < from);
  }

  #compact(to: number): void {
    for (let first = this.batches[0]; first !== undefined && first.lastIndex <= to; first = this.batches[0]) {
      const position = batchPosition(first) + first.bytes.byteLength;
      this.base = { index: first.lastIndex, time: first.time, position };
      this.batches.shift();
    }
  }
}

function plain(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function copyOf(batches: readonly Batch[]): Batch[] {
  return batches.map((batch) => parseBatch(batch.bytes.slice()));
}

/** Frees the memory that the bytes lie in, as a peer does that has no more use for what it was sent or has read. */
export function free({ buffer }: Uint8Array): void {
  assert.ok(buffer instanceof ArrayBuffer);
  structuredClone(null, { transfer: [buffer] });
}

/** Opens a store in its place for the first time. */
export async function begin(fixture: StoreFixture): Promise<Subject> {
  return new Subject(await fixture.open(UNBORN));
}

/** Crashes the store and compares what comes back. */
export async function crashAndCheck(fixture: StoreFixture, subject: Subject): Promise<void> {
  subject.reopened(await fixture.reopen(BORN));
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
