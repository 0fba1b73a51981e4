import {
  EMPTY_SAVE,
  type HardState,
  type Save,
  type SnapshotChunk,
  type SnapshotInfo,
} from "../../src/raft/effects.ts";
import { type Batch, batchPosition, bootstrapBatch, type Configuration, sliceBatch } from "../../src/raft/entry.ts";
import type { TermRun } from "../../src/raft/log.ts";
import type { PeerId } from "../../src/raft/message.ts";
import type { Stored } from "../../src/raft/raft.ts";
import { batch, copyBatch } from "./entries.ts";

function expectThat(holds: boolean, message: () => string): void {
  if (!holds) throw new Error(`the disk refuses: ${message()}`);
}

function endOf(last: Batch): number {
  return batchPosition(last) + last.bytes.byteLength;
}

/**
 * What a peer has on its disk. Saves are atomic, are done in the order of their fields, and are refused when they do not
 * fit what is there; what is read is a copy.
 */
export class Disk {
  hardState: HardState = { currentTerm: 0, votedFor: undefined };
  batches: Batch[];
  /** The entry before the log's first; `runFrom` is where its run of equal terms began. */
  base = { index: 0, term: 0, time: 0, position: 0, runFrom: 0 };
  snapshot: { readonly info: SnapshotInfo; readonly chunks: readonly Uint8Array[] } | undefined;
  /** What was set aside of a snapshot that is not complete. */
  staged: Uint8Array[] = [];
  incarnation = 0;
  readonly configuration: Configuration;
  saves: Save[] = [];
  reads = 0;

  constructor(voters: readonly PeerId[]) {
    this.configuration = { voters };
    this.batches = [bootstrapBatch(this.configuration)];
  }

  /** A disk that was in use up to `currentTerm`, with one entry a batch of these terms from index 2 on. */
  static holding(
    voters: readonly PeerId[],
    terms: readonly number[],
    currentTerm = terms.at(-1) ?? 0,
    votedFor?: PeerId,
  ): Disk {
    const disk = new Disk(voters);
    disk.append(terms.map((term, at) => batch(at + 2, term, `${term}.${at + 2}`)));
    disk.hardState = { currentTerm, votedFor };
    return disk;
  }

  get lastIndex(): number {
    return this.batches.at(-1)?.lastIndex ?? this.base.index;
  }

  get endPosition(): number {
    const last = this.batches.at(-1);
    return last === undefined ? this.base.position : endOf(last);
  }

  /** Undefined where there is no entry, but for the one before the first. */
  termAt(index: number): number | undefined {
    if (index === this.base.index) return this.base.term;
    return this.batches.find((each) => each.firstIndex <= index && each.lastIndex >= index)?.term;
  }

  append(batches: readonly Batch[]): void {
    for (const each of batches) {
      const copy = copyBatch(each);
      new DataView(copy.bytes.buffer).setFloat64(40, this.endPosition, true);
      this.batches.push(copy);
    }
  }

  /** Gives the disk a snapshot of these chunks that ends with `index`, and takes what is before `compactTo` away. */
  holdSnapshot(index: number, chunks: readonly Uint8Array[], compactTo = index): this {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    const head = { index, term: this.termAt(index) ?? 0, time: 0, configuration: this.configuration, version: 0 };
    this.save({
      ...EMPTY_SAVE,
      chunks: chunks.map((data, number) => ({ number, data })),
      snapshot: { ...head, chunks: chunks.length, bytes },
      compactTo,
    });
    this.saves = [];
    return this;
  }

  save(save: Save): void {
    this.saves.push(save);
    this.hardState = save.hardState ?? this.hardState;
    for (const chunk of save.chunks) this.#stage(chunk);
    if (save.snapshot !== undefined) this.#adopt(save.snapshot);
    if (save.resetTo !== undefined) this.#reset(save.resetTo);
    if (save.truncateFrom !== undefined) this.#truncate(save.truncateFrom);
    for (const each of save.batches) this.#append(each);
    if (save.compactTo !== undefined) this.#compact(save.compactTo);

    const { index, term } = this.snapshot?.info ?? { index: 0, term: 0 };
    expectThat(
      index >= this.base.index && this.termAt(index) === term,
      () => `a log behind ${this.base.index}, up to ${this.lastIndex}, does not fit a snapshot of ${index}, ${term}`,
    );
  }

  #stage({ number, data }: SnapshotChunk): void {
    if (number === 0) this.staged = [];
    expectThat(number === this.staged.length, () => `chunk ${number} behind ${this.staged.length} others`);
    this.staged.push(data.slice());
  }

  #adopt(info: SnapshotInfo): void {
    const bytes = this.staged.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    const before = this.snapshot?.info.index ?? 0;
    expectThat(info.index > before, () => `a snapshot of ${info.index} in place of that of ${before}`);
    expectThat(
      info.chunks === this.staged.length && info.chunks > 0 && info.bytes === bytes,
      () => `${info.chunks} chunks of ${info.bytes} bytes, where ${this.staged.length} of ${bytes} are set aside`,
    );
    this.snapshot = { info, chunks: this.staged };
    this.staged = [];
  }

  #reset({ index, term, time }: SnapshotInfo): void {
    const { info } = this.snapshot ?? {};
    expectThat(info?.index === index && info.term === term, () => `a log behind ${index}, which is not the snapshot's`);
    this.base = { index, term, time, position: this.endPosition, runFrom: index };
    this.batches = [];
  }

  #truncate(from: number): void {
    const { index } = this.base;
    expectThat(from > index && from <= this.lastIndex, () => `a cut at ${from} of ${index + 1}..${this.lastIndex}`);
    this.batches = this.batches
      .filter((each) => each.firstIndex < from)
      .map((each) => sliceBatch(each, each.firstIndex, from - 1));
  }

  #append(next: Batch): void {
    const lastTerm = this.termAt(this.lastIndex) ?? 0;
    expectThat(
      next.firstIndex === this.lastIndex + 1 && next.term >= lastTerm,
      () => `a batch from ${next.firstIndex} of term ${next.term} behind ${this.lastIndex} of term ${lastTerm}`,
    );
    const position = batchPosition(next);
    if (this.batches.length === 0) this.base.position = position;
    expectThat(position === this.endPosition, () => `a batch at position ${position} behind ${this.endPosition}`);
    this.batches.push(copyBatch(next));
  }

  #compact(to: number): void {
    const last = this.batches.find((each) => each.lastIndex === to);
    const covered = this.snapshot?.info.index ?? 0;
    if (last === undefined) throw new Error(`the disk refuses: entry ${to} ends no batch`);
    expectThat(to <= covered, () => `dropping entries up to ${to}, of which the snapshot covers ${covered}`);
    const runFrom = this.#terms().findLast((run) => run.firstIndex <= to)?.firstIndex ?? 0;
    this.base = { index: to, term: last.term, time: last.time, position: endOf(last), runFrom };
    this.batches = this.batches.filter((each) => each.firstIndex > to);
  }

  readonly read = (from: number, maxBytes: number): Batch[] => {
    expectThat(from > this.base.index && from <= this.lastIndex, () => `${from} is not in the log`);
    this.reads++;
    const found: Batch[] = [];
    let bytes = 0;
    for (const each of this.batches) {
      if (each.lastIndex < from) continue;
      bytes += each.bytes.byteLength;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(copyBatch(each));
    }
    return found;
  };

  readonly readChunk = (index: number, chunk: number): Uint8Array | undefined => {
    if (this.snapshot?.info.index !== index) return undefined;
    const data = this.snapshot.chunks[chunk];
    expectThat(data !== undefined, () => `the snapshot of ${index} has no chunk ${chunk}`);
    return data?.slice();
  };

  /** All chunks of the snapshot, as a text. */
  get content(): string {
    return Buffer.concat(this.snapshot?.chunks ?? []).toString();
  }

  #terms(): TermRun[] {
    const { index, term, runFrom } = this.base;
    const terms: TermRun[] = index === 0 ? [] : [{ firstIndex: runFrom, term }];
    for (const { firstIndex, term } of this.batches) {
      if (terms.at(-1)?.term !== term) terms.push({ firstIndex, term });
    }
    return terms;
  }

  stored(): Stored {
    const { hardState, base, lastIndex, endPosition } = this;
    const first = this.batches[0];
    return {
      hardState,
      configuration: this.snapshot?.info.configuration ?? this.configuration,
      snapshot: this.snapshot?.info,
      applied: undefined,
      used: this.incarnation > 1,
      firstIndex: base.index + 1,
      lastIndex,
      lastTime: this.batches.at(-1)?.time ?? base.time,
      terms: this.#terms(),
      firstPosition: first === undefined ? base.position : batchPosition(first),
      endPosition,
    };
  }
}
