import type { Effects, SnapshotInfo } from "../raft/effects.ts";
import { parseBatch } from "../raft/entry.ts";
import type { Message, PeerId } from "../raft/message.ts";
import type { RaftOptions } from "../raft/options.ts";
import type { Appended, Stored, StoreReader } from "../raft/raft.ts";
import type { TraceStep } from "./protocol.ts";
import { Digests, type RecordedCall, type RecordedState, type RecordSink } from "./record.ts";
import { plainStored, Surroundings } from "./surroundings.ts";
import { TracedRaft } from "./traced-raft.ts";

/** Where the record goes. */
export interface RecordTargets {
  readonly sink: RecordSink;
  /** Takes the steps of the trace; default: nobody does. */
  readonly tell?: ((step: TraceStep) => void) | undefined;
  /** What digests stand for, for one who has no more than them. */
  readonly digests?: Digests | undefined;
}

/**
 * The algorithm, recorded: each call, what it was given, what it asked for meanwhile, what came out, and what it changed.
 * The algorithm depends on nothing else, so whoever hands in the same again gets the same.
 */
export class RecordedRaft extends TracedRaft {
  readonly #sink: RecordSink;
  readonly #digests: Digests;
  readonly #surroundings: Surroundings;
  #before: RecordedState;

  constructor(
    options: RaftOptions,
    stored: Stored,
    reader: StoreReader,
    clock: { now(): number },
    { sink, tell = () => {}, digests = new Digests() }: RecordTargets,
  ) {
    const surroundings = new Surroundings(options, reader, digests);
    // The algorithm begins with the first reading.
    let began: number | undefined;
    const now = () => {
      const time = clock.now();
      began ??= time;
      return time;
    };
    surroundings.begin();
    super({ ...options, random: surroundings.random }, stored, surroundings.reader, { now }, tell);
    const asked = surroundings.end();
    this.#sink = sink;
    this.#digests = digests;
    this.#surroundings = surroundings;
    this.#before = stateOf(this);
    const { random: _, ...plain } = options;
    sink.start({
      ...{ format: 1, options: plain, stored: plainStored(stored), now: began ?? 0, asked, state: this.#before },
    });
  }

  override step(from: PeerId, incarnation: number, message: Message, now: number): void {
    const recorded = this.#digests.message(message, true);
    this.#run(
      () => super.step(from, incarnation, message, now),
      () => ({ kind: "step", from, incarnation, message: recorded, now }),
    );
  }

  override propose(packed: Uint8Array, time: number): Appended | undefined {
    // It is stamped in place.
    const copy = packed.slice();
    const digests = this.#digests.ofEntries(parseBatch(copy));
    return this.#run(
      () => super.propose(packed, time),
      (returned) => ({ kind: "propose", packed: copy, digests, time, returned }),
    );
  }

  override read(id: number): boolean {
    return this.#run(
      () => super.read(id),
      (returned) => ({ kind: "read", id, returned }),
    );
  }

  override leaseIndex(now: number): number | undefined {
    return this.#run(
      () => super.leaseIndex(now),
      (returned) => ({ kind: "leaseIndex", now, returned }),
    );
  }

  override stageChunk(number: number, data: Uint8Array): boolean {
    return this.#run(
      () => super.stageChunk(number, data),
      (returned) => ({ kind: "stageChunk", number, data: this.#digests.of(data), returned }),
    );
  }

  override completeSnapshot(info: SnapshotInfo, now: number): void {
    this.#run(
      () => super.completeSnapshot(info, now),
      () => ({ kind: "completeSnapshot", info, now }),
    );
  }

  override advance(now: number): void {
    this.#run(
      () => super.advance(now),
      () => ({ kind: "advance", now }),
    );
  }

  override peerDied(peer: PeerId, incarnation: number, now: number): void {
    this.#run(
      () => super.peerDied(peer, incarnation, now),
      () => ({ kind: "peerDied", peer, incarnation, now }),
    );
  }

  override unreachable(peer: PeerId): void {
    this.#run(
      () => super.unreachable(peer),
      () => ({ kind: "unreachable", peer }),
    );
  }

  /** What it sends and writes is seen from now on, so all that led to it is kept first. */
  override effects(): Effects | undefined {
    const effects = this.#run(
      () => super.effects(),
      (returned) => ({ kind: "effects", returned: returned && this.#digests.effects(returned) }),
    );
    if (effects !== undefined) this.#sink.flush();
    return effects;
  }

  /** What waited for the save goes out from now on. */
  override saved(now: number): void {
    this.#run(
      () => super.saved(now),
      () => ({ kind: "saved", now }),
    );
    this.#sink.flush();
  }

  #run<Value>(run: () => Value, describe: (value?: Value) => RecordedCall): Value {
    this.#surroundings.begin();
    let value: Value;
    try {
      value = run();
    } catch (error) {
      this.#add(describe(), String(error));
      this.#sink.flush();
      throw error;
    }
    this.#add(describe(value));
    return value;
  }

  #add(call: RecordedCall, threw?: string): void {
    const asked = this.#surroundings.end();
    const state = stateOf(this);
    const changed = difference(this.#before, state);
    this.#before = state;
    this.#sink.step({
      call,
      ...(asked !== undefined && { asked }),
      ...(changed !== undefined && { changed }),
      ...(threw !== undefined && { threw }),
    });
  }
}

function stateOf({ role, currentTerm, votedFor, leader, commitIndex, log, wakeAt }: TracedRaft): RecordedState {
  const { firstIndex, lastIndex } = log;
  return { role, currentTerm, votedFor, leader, commitIndex, firstIndex, lastIndex, wakeAt };
}

function difference(before: RecordedState, after: RecordedState): Partial<RecordedState> | undefined {
  let changed: Partial<RecordedState> | undefined;
  for (const name of Object.keys(after) as (keyof RecordedState)[]) {
    if (before[name] !== after[name]) changed = { ...changed, [name]: after[name] };
  }
  return changed;
}
