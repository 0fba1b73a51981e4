import { crc32 } from "node:zlib";
import type { Effects, Outgoing, Save, SnapshotInfo } from "../raft/effects.ts";
import { type Batch, batchPosition, forEachEntry } from "../raft/entry.ts";
import type { AppendEntries, InstallSnapshot, Message, PeerId } from "../raft/message.ts";
import type { RaftOptions } from "../raft/options.ts";
import type { Appended, Stored } from "../raft/raft.ts";
import type { Role } from "../raft/state.ts";

/** Stands for bytes that the algorithm carries and never looks into. */
export interface Digest {
  readonly bytes: number;
  readonly crc: number;
}

/** Entries. What they are is said once, where they come in; where they go out again they are only told apart. */
export interface RecordedBatch {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
  readonly time: number;
  readonly position: number;
  /** Four bytes an entry, of its kind and its data; 0 for a no-op. */
  readonly digests: Uint8Array;
  /** The whole of it, header and all; only of what comes in. */
  readonly bytes?: Uint8Array | undefined;
}

/** A message with digests in the place of its load. */
export type RecordedMessage =
  | Exclude<Message, AppendEntries | InstallSnapshot>
  | (Omit<AppendEntries, "batches"> & { readonly batches: readonly RecordedBatch[] })
  | (Omit<InstallSnapshot, "data"> & { readonly data: Digest });

export interface RecordedOutgoing {
  readonly to: PeerId;
  readonly message: RecordedMessage;
}

/** See {@link Save}. */
export interface RecordedSave extends Omit<Save, "chunks" | "batches"> {
  readonly chunks: readonly { readonly number: number; readonly data: Digest }[];
  readonly batches: readonly RecordedBatch[];
}

/** See {@link Effects}. */
export interface RecordedEffects extends Omit<Effects, "before" | "save" | "after"> {
  readonly before: readonly RecordedOutgoing[];
  readonly save: RecordedSave | undefined;
  readonly after: readonly RecordedOutgoing[];
}

/** One call of the algorithm with what it was given, and what it returned. */
export type RecordedCall =
  | {
      readonly kind: "step";
      readonly from: PeerId;
      readonly incarnation: number;
      readonly message: RecordedMessage;
      readonly now: number;
    }
  | {
      readonly kind: "propose";
      /** As they came, not stamped. */
      readonly packed: Uint8Array;
      readonly digests: Uint8Array;
      readonly time: number;
      readonly returned?: Appended | undefined;
    }
  | { readonly kind: "read"; readonly id: number; readonly returned?: boolean | undefined }
  | { readonly kind: "leaseIndex"; readonly now: number; readonly returned?: number | undefined }
  | {
      readonly kind: "stageChunk";
      readonly number: number;
      readonly data: Digest;
      readonly returned?: boolean | undefined;
    }
  | { readonly kind: "completeSnapshot"; readonly info: SnapshotInfo; readonly now: number }
  | { readonly kind: "advance" | "saved"; readonly now: number }
  | { readonly kind: "peerDied"; readonly peer: PeerId; readonly incarnation: number; readonly now: number }
  | { readonly kind: "unreachable"; readonly peer: PeerId }
  | { readonly kind: "effects"; readonly returned?: RecordedEffects | undefined };

/** What of a peer's state is compared after every call. */
export interface RecordedState {
  readonly role: Role;
  readonly currentTerm: number;
  readonly votedFor: PeerId | undefined;
  readonly leader: PeerId | undefined;
  readonly commitIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly wakeAt: number;
}

/** What the algorithm asked its surroundings for during a call, and was answered. */
export interface Asked {
  /** Random numbers. */
  readonly drawn: number[];
  /** Entries that it had no more in memory: for each time, the batches that the store gave. */
  readonly read: (readonly Uint8Array[])[];
  /** Chunks of a snapshot; undefined where the store has none. */
  readonly chunks: (Digest | undefined)[];
}

/** A call, and all that came of it. */
export interface RecordedStep {
  readonly call: RecordedCall;
  /** Nothing: nothing was asked for. */
  readonly asked?: Asked | undefined;
  /** What of the state is different from before; nothing: all is as it was. */
  readonly changed?: Partial<RecordedState> | undefined;
  /** What it threw, which is the end of this life. */
  readonly threw?: string | undefined;
}

/** What a life of a peer began with. */
export interface RecordStart {
  readonly format: 1;
  readonly options: Omit<RaftOptions, "random">;
  readonly stored: Stored;
  readonly now: number;
  readonly asked?: Asked | undefined;
  readonly state: RecordedState;
}

/** The record of one life of a peer. */
export interface RaftRecord {
  readonly start: RecordStart;
  readonly steps: readonly RecordedStep[];
  /** Whether it stops before the life did: it had grown too large. What the last save came to is not known then. */
  readonly isCut: boolean;
}

/** Takes the record of one life of a peer, in its order. Nobody else writes to what it is given, or keeps it. */
export interface RecordSink {
  start(start: RecordStart): void;
  step(step: RecordedStep): void;
  /** Called before other peers, or the disk, can see what came of the steps so far. Who may die then must have kept them. */
  flush(): void;
}

/** Makes digests, each once for an object that comes by again. */
export class Digests {
  readonly #entries = new WeakMap<Batch, Uint8Array>();
  readonly #bytes = new WeakMap<Uint8Array, Digest>();

  /** Bytes that have this digest here, for those who do not have the ones that it was made of. */
  standIn(digest: Digest): Uint8Array {
    const data = new Uint8Array();
    this.#bytes.set(data, digest);
    return data;
  }

  of(data: Uint8Array): Digest {
    let digest = this.#bytes.get(data);
    if (digest === undefined) {
      digest = { bytes: data.byteLength, crc: crc32(data) };
      this.#bytes.set(data, digest);
    }
    return digest;
  }

  ofEntries(batch: Batch): Uint8Array {
    let digests = this.#entries.get(batch);
    if (digests === undefined) {
      digests = digestEntries(batch);
      this.#entries.set(batch, digests);
    }
    return digests;
  }

  /** @param whole whether its bytes are copied too. */
  batch(batch: Batch, whole: boolean): RecordedBatch {
    const { firstIndex, lastIndex, term, time, bytes } = batch;
    const said = { firstIndex, lastIndex, term, time, position: batchPosition(batch), digests: this.ofEntries(batch) };
    return whole ? { ...said, bytes: bytes.slice() } : said;
  }

  message(message: Message, whole: boolean): RecordedMessage {
    switch (message.type) {
      case "AppendEntries":
        return { ...message, batches: message.batches.map((batch) => this.batch(batch, whole)) };
      case "InstallSnapshot":
        return { ...message, data: this.of(message.data) };
      default:
        return message;
    }
  }

  effects(effects: Effects): RecordedEffects {
    const { before, save, after, ...rest } = effects;
    return { ...rest, before: this.#outgoing(before), save: save && this.#save(save), after: this.#outgoing(after) };
  }

  #save(save: Save): RecordedSave {
    return {
      ...save,
      chunks: save.chunks.map(({ number, data }) => ({ number, data: this.of(data) })),
      batches: save.batches.map((batch) => this.batch(batch, false)),
    };
  }

  #outgoing(outgoing: readonly Outgoing[]): RecordedOutgoing[] {
    return outgoing.map(({ to, message }) => ({ to, message: this.message(message, false) }));
  }
}

function digestEntries(batch: Batch): Uint8Array {
  const digests = new Uint8Array((batch.lastIndex - batch.firstIndex + 1) * 4);
  const view = new DataView(digests.buffer);
  forEachEntry(batch, batch.firstIndex, (index, kind, data) => {
    view.setUint32((index - batch.firstIndex) * 4, crc32(data, kind), true);
  });
  return digests;
}
