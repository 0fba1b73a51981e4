import type { Save } from "../../raft/effects.ts";
import type { Batch } from "../../raft/entry.ts";
import type { MachineChange, MachineTable, Store, StoredState } from "../../storage/store.ts";
import type { CrashPoint } from "./crash-points.ts";
import { saveKind } from "./crash-points.ts";

/** What a disk does to a process, and hears of it. */
export interface DiskHost {
  /** The process hands over; it may die here. */
  at(point: CrashPoint): void;
  /** The process is about to touch its disk; one whose disk was taken away dies here. */
  touch(): void;
  /** A write begins: takes its time, or fails. */
  beginWrite(): void;
  /** A save is durable. */
  written(save: Save): void;
  /** A write is done: fails now if it is to. */
  endWrite(): void;
  /** The snapshot that ends with this entry is about to be read. */
  restoring(index: number): void;
}

/** A store under a disk that is slow, full or failing, and a process that may die at any point of it. */
export class SimStore implements Store {
  readonly #inner: Store;
  readonly #host: DiskHost;
  #snapshotIndex: number;

  constructor(inner: Store, host: DiskHost) {
    this.#inner = inner;
    this.#host = host;
    this.#snapshotIndex = inner.state.snapshot?.index ?? 0;
  }

  get state(): StoredState {
    return this.#inner.state;
  }

  get machine(): MachineTable {
    return this.#inner.machine;
  }

  save(save: Save, change?: MachineChange): void {
    const host = this.#host;
    const kind = saveKind(save);
    host.touch();
    host.at(`before save: ${kind}`);
    host.beginWrite();
    this.#inner.save(save, change);
    if (save.snapshot !== undefined) this.#snapshotIndex = save.snapshot.index;
    host.written(save);
    host.endWrite();
    host.at(`after save: ${kind}`);
  }

  sweep(): boolean {
    const host = this.#host;
    host.touch();
    host.at("before sweep");
    const more = this.#inner.sweep();
    host.at("after sweep");
    return more;
  }

  read(from: number, maxBytes: number): Batch[] {
    this.#host.touch();
    return this.#inner.read(from, maxBytes);
  }

  readChunk(index: number, chunk: number): Uint8Array | undefined {
    this.#host.touch();
    return this.#inner.readChunk(index, chunk);
  }

  readSnapshot(): Iterable<Uint8Array> {
    this.#host.touch();
    this.#host.restoring(this.#snapshotIndex);
    return this.#inner.readSnapshot();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
