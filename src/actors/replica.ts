import { type Applied, answerQuery, applyCommand, applyEncoded, prepareQuery } from "../machine/apply.ts";
import { decode, decodeWithin } from "../machine/codec.ts";
import {
  type EncodedMachine,
  type GradualMachine,
  type PreparingMachine,
  preparesQueries,
  restoresGradually,
  takesEncoded,
} from "../machine/offers.ts";
import { SESSION_HEADER_BYTES, Sessions } from "../machine/sessions.ts";
import { joinContent, splitContent } from "../machine/snapshot-content.ts";
import type { ApplyContext, StateMachine } from "../machine/state-machine.ts";
import type { SnapshotChunk, SnapshotInfo } from "../raft/effects.ts";
import { EntryKind, type EntryReader } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { AppliedState, MachineChange, StoredState } from "../storage/store.ts";
import { DurableState } from "./durable-state.ts";
import { IncomingState } from "./incoming-state.ts";
import type { MachineCalls } from "./machine-calls.ts";
import type { AppliedEntry } from "./protocol.ts";

/** What an entry comes to that is not for the state machine. */
const NOTHING: Applied = { result: undefined, threw: undefined };

/** What a state machine is to do before a query. */
export interface Preparation {
  readonly work: Iterator<unknown>;
}

/**
 * The replicated state: what the entries of the log have made of the state machine and of the clients' sessions. Equal
 * on all peers at equal `lastApplied`.
 */
export class Replica {
  readonly #id: PeerId;
  readonly #machine: StateMachine | DurableState;
  /** The machine, when it is a durable one. */
  readonly #durable: DurableState | undefined;
  /** The machine, when it takes commands as bytes. */
  readonly #encoded: EncodedMachine | undefined;
  /** The machine, when it takes in snapshots as their chunks come. */
  readonly #gradual: GradualMachine | undefined;
  /** The machine, when it has work to do before some queries. */
  readonly #preparing: PreparingMachine | undefined;
  /** Of the snapshot that is coming in, as long as nothing is wrong with it. */
  #incoming: IncomingState | undefined;
  readonly #calls: Pick<MachineCalls, "enter" | "leave">;
  #sessions = new Sessions();
  #lastApplied = 0;
  #lastTime = 0;
  /** Whether a durable machine's state is not what the store has. */
  #hasChanged = false;
  /** Whether the state machine was asked about the entry at hand. */
  #wasAsked = false;

  /** @param id names the peer in errors. */
  constructor(id: PeerId, machine: StateMachine | DurableState, calls: Pick<MachineCalls, "enter" | "leave">) {
    this.#id = id;
    this.#machine = machine;
    this.#durable = machine instanceof DurableState ? machine : undefined;
    this.#encoded = takesEncoded(machine) ? machine : undefined;
    this.#gradual = restoresGradually(machine) ? machine : undefined;
    this.#preparing = preparesQueries(machine) ? machine : undefined;
    this.#calls = calls;
  }

  get lastApplied(): number {
    return this.#lastApplied;
  }

  /** Of the entry that was applied last. */
  get lastTime(): number {
    return this.#lastTime;
  }

  /** Of the state machine. */
  get version(): number {
    return this.#machine.version ?? 0;
  }

  /** Undefined for a machine in memory, and when the store has all; else about how many bytes it lacks. */
  get unsavedBytes(): number | undefined {
    return this.#hasChanged ? this.#durable?.waitingBytes : undefined;
  }

  /**
   * Begins with what is in the store: a durable machine with its own state, unless the snapshot is newer; else with the
   * snapshot, if there is one. All later entries are to be applied.
   * @throws RaftError as `restore` does.
   */
  start({ applied, snapshot }: Pick<StoredState, "applied" | "snapshot">, chunks: () => Iterable<Uint8Array>): void {
    const isBehind = snapshot !== undefined && snapshot.index > (applied?.index ?? 0);
    if (this.#durable !== undefined && !isBehind) {
      this.#open(this.#durable, applied ?? { index: 0, time: 0, version: this.version });
    } else if (snapshot !== undefined) {
      this.restore(snapshot, chunks());
    }
  }

  /**
   * Applies entries up to `last`, and tells what each came to.
   * @param entries stands before the first that is not applied yet.
   * @param onApplied `wasAsked` says whether the state machine was given the entry's command; `entries` stands at the entry.
   * @throws what the store throws that a durable machine reads from; so does `answer`.
   */
  apply(
    entries: EntryReader,
    last: number,
    onApplied: (index: number, applied: Applied, wasAsked: boolean) => void,
  ): void {
    const { term, time } = entries.batch;
    this.#lastTime = time;
    this.#hasChanged = true;
    while (entries.index < last && entries.next()) {
      const { index } = entries;
      this.#wasAsked = false;
      const applied = this.#applyEntry(entries, { index, term, time });
      this.#lastApplied = index;
      onApplied(index, applied, this.#wasAsked);
    }
    // Entries were quicker.
    if (this.#incoming !== undefined && this.#incoming.info.index <= this.#lastApplied) this.#incoming = undefined;
  }

  /**
   * Asks the state machine as it is after the entry that was applied last.
   * @param encoded is not kept.
   * @param isPrepared whether there is nothing to be done before.
   * @returns the answer, or what is to be done before.
   */
  answer(encoded: Uint8Array, isPrepared: boolean): Applied | Preparation {
    let query: unknown;
    try {
      query = decode(encoded);
    } catch (error) {
      const refusal = { code: "ERR_INVALID_COMMAND", outcome: "not-applied" } as const;
      return { result: undefined, threw: { name: "RaftError", message: `query: ${String(error)}`, refusal } };
    }
    this.#calls.enter("query", this.#lastApplied);
    const work = isPrepared || this.#preparing === undefined ? undefined : prepareQuery(this.#preparing, query);
    const answer = work === undefined ? answerQuery(this.#machine, query) : { work };
    this.#calls.leave();
    this.#durable?.checkReadings();
    return answer;
  }

  /** Does a step of what is to be done before a query. @returns whether it was the last. */
  doStep(work: Iterator<unknown>): boolean {
    this.#calls.enter("query", this.#lastApplied);
    try {
      return work.next().done === true;
    } catch {
      return true;
    } finally {
      this.#calls.leave();
    }
  }

  /** What the store lacks of a durable machine and its sessions; once it is saved, `saved` is to be called. */
  change(): MachineChange | undefined {
    if (this.#durable === undefined || !this.#hasChanged) return undefined;
    const applied = { index: this.#lastApplied, time: this.#lastTime, version: this.version };
    return this.#durable.change(applied, this.#sessions.takeChanges());
  }

  saved(): void {
    this.#hasChanged = false;
    this.#durable?.saved();
  }

  /** A frozen view of the whole, pulled later. The store has all there is. */
  snapshot(): Iterable<Uint8Array> {
    const sessions = this.#sessions.freeze();
    const view = this.#machine.snapshot();
    return joinContent(sessions, view instanceof Uint8Array ? [view] : view);
  }

  /** Nothing more of the last `snapshot` is pulled. */
  releaseSnapshot(): void {
    this.#durable?.release();
  }

  /**
   * A chunk is set aside in the store: the state is begun of it, if it is of a snapshot that is coming in. Whatever is wrong with
   * that shows when it is restored, from the store.
   */
  prepare({ number, data, of: info }: SnapshotChunk): void {
    if (number === 0) this.#incoming = this.#begin(info);
    const incoming = this.#incoming;
    if (incoming === undefined) return;
    this.#calls.enter("restore", incoming.info.index);
    try {
      // The machine keeps it; what it came in is given back.
      incoming.add(data.slice());
    } catch {
      this.#incoming = undefined;
    } finally {
      this.#calls.leave();
    }
  }

  #begin(info: SnapshotInfo | undefined): IncomingState | undefined {
    if (info === undefined || this.#gradual === undefined || info.version > this.version) return undefined;
    this.#calls.enter("restore", info.index);
    try {
      return new IncomingState(info, this.#gradual);
    } catch {
      return undefined;
    } finally {
      this.#calls.leave();
    }
  }

  /**
   * §7: state machine and sessions begin anew from a snapshot.
   * @param chunks all there are of it; not pulled when the state was made of them as they came.
   * @throws RaftError ERR_MACHINE_MODULE for a snapshot of a newer machine, ERR_MACHINE_THREW when it cannot be restored.
   */
  restore(info: SnapshotInfo, chunks: Iterable<Uint8Array>): void {
    const { index, time, version } = info;
    this.#checkVersion("the snapshot", version);
    const machine = this.#machine;
    const incoming = this.#incoming;
    this.#incoming = undefined;
    this.#attempt(`be restored from the snapshot of ${index}`, index, (enter) => {
      if (incoming?.info === info) {
        this.#sessions = incoming.finish();
        return;
      }
      const content = splitContent(eachAfter(enter, chunks));
      const sessions = Sessions.restore(content.sessions);
      if (machine instanceof DurableState) {
        sessions.noteChanges("nothing");
        machine.restore(content.machine, sessions.takeChanges(), { index, time, version });
      } else {
        machine.restore(content.machine);
      }
      this.#sessions = sessions;
    });
    this.#lastApplied = index;
    this.#lastTime = time;
    if (machine instanceof DurableState) this.#open(machine, { index, time, version });
  }

  /** The store has this state of a durable machine. */
  #open(machine: DurableState, applied: AppliedState): void {
    const { index, time, version } = applied;
    this.#checkVersion("the state", version);
    this.#attempt(`begin with the state of entry ${index}`, index, () => {
      this.#sessions = Sessions.restore(machine.sessions());
      this.#sessions.noteChanges("all");
      this.#hasChanged = machine.open(applied);
    });
    this.#lastApplied = index;
    this.#lastTime = time;
  }

  #checkVersion(what: string, version: number): void {
    if (version <= this.version) return;
    const message = `${what} of ${this.#id} was written by version ${version} of the state machine, this is ${this.version}`;
    throw new RaftError("ERR_MACHINE_MODULE", message);
  }

  #attempt(what: string, index: number, begin: (enter: () => void) => void): void {
    const enter = () => this.#calls.enter("restore", index);
    try {
      enter();
      begin(enter);
      this.#calls.leave();
    } catch (cause) {
      if (cause instanceof RaftError) throw cause;
      const message = `the state machine of ${this.#id} cannot ${what}: ${String(cause)}`;
      throw new RaftError("ERR_MACHINE_THREW", message, { cause });
    }
  }

  #applyEntry(entries: EntryReader, at: ApplyContext): Applied {
    switch (entries.kind) {
      case EntryKind.command:
        return this.#carryOut(entries.bytes, entries.start, entries.end, at);
      case EntryKind.sessionCommand:
        return this.#sessions.apply(entries, at, this.#carryOut);
      default:
        return NOTHING;
    }
  }

  /** A value, since the sessions are given it with each command. */
  readonly #carryOut = (bytes: Uint8Array, start: number, end: number, at: ApplyContext): Applied => {
    this.#wasAsked = true;
    if (this.#encoded !== undefined) {
      this.#calls.enter("apply", at.index);
      const taken = applyEncoded(this.#encoded, bytes, start, end, at);
      this.#calls.leave();
      if (taken !== undefined) return taken;
    }
    const command = decodeWithin(bytes, start, end);
    this.#calls.enter("apply", at.index);
    const applied = applyCommand(this.#machine, command, at);
    this.#calls.leave();
    this.#durable?.checkReadings();
    return applied;
  };
}

function* eachAfter<Item>(before: () => void, items: Iterable<Item>): Iterable<Item> {
  for (const item of items) {
    before();
    yield item;
  }
}

/** The entry that was applied last and that `entries` stands at, for those who watch. */
export function describeApplied(entries: EntryReader, wasAsked: boolean): AppliedEntry {
  const { index, kind } = entries;
  const { term, bytes } = entries.batch;
  switch (kind) {
    case EntryKind.sessionCommand: {
      if (!wasAsked) return { index, term, kind: "session" };
      const command = decodeWithin(bytes, entries.start + SESSION_HEADER_BYTES, entries.end);
      return { index, term, kind: "command", command };
    }
    case EntryKind.command:
      return { index, term, kind: "command", command: decodeWithin(bytes, entries.start, entries.end) };
    case EntryKind.noop:
      return { index, term, kind: "noop" };
    case EntryKind.configuration:
      return { index, term, kind: "configuration" };
  }
}
