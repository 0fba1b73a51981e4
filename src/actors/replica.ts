import { type Applied, applyCommand } from "../machine/apply.ts";
import { decode } from "../machine/codec.ts";
import { Sessions } from "../machine/sessions.ts";
import { joinContent, splitContent } from "../machine/snapshot-content.ts";
import type { ApplyContext, StateMachine } from "../machine/state-machine.ts";
import type { SnapshotInfo } from "../raft/effects.ts";
import { type Batch, EntryKind, forEachEntry } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { MachineCalls } from "./machine-calls.ts";
import type { Answer } from "./pending.ts";
import type { AppliedEntry } from "./protocol.ts";
import { answer, type Query } from "./queries.ts";

/** What an entry comes to that is not for the state machine. */
const NOTHING: Applied = { result: undefined, threw: undefined };

/**
 * The replicated state: what the entries of the log have made of the state machine and of the clients' sessions. Equal
 * on all peers at equal `lastApplied`.
 */
export class Replica {
  readonly #id: PeerId;
  readonly #machine: StateMachine;
  readonly #calls: Pick<MachineCalls, "enter" | "leave">;
  #sessions = new Sessions();
  #lastApplied = 0;
  #lastTime = 0;

  /** @param id names the peer in errors. */
  constructor(id: PeerId, machine: StateMachine, calls: Pick<MachineCalls, "enter" | "leave">) {
    this.#id = id;
    this.#machine = machine;
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

  /** Applies the entries of a committed batch that are not applied yet, and tells what each came to. */
  apply(batch: Batch, onApplied: (index: number, applied: Applied, kind: EntryKind, command: unknown) => void): void {
    const { term, time } = batch;
    this.#lastTime = time;
    forEachEntry(batch, this.#lastApplied + 1, (index, kind, data) => {
      const { applied, command } = this.#applyEntry(kind, data, { index, term, time });
      this.#lastApplied = index;
      onApplied(index, applied, kind, command);
    });
  }

  answer(query: Query): Answer {
    this.#calls.enter("query", this.#lastApplied);
    const answered = answer(this.#machine, query, this.#lastApplied);
    this.#calls.leave();
    return answered;
  }

  /** A frozen view of the whole, pulled later. */
  snapshot(): Iterable<Uint8Array> {
    const sessions = this.#sessions.freeze();
    const view = this.#machine.snapshot();
    return joinContent(sessions, view instanceof Uint8Array ? [view] : view);
  }

  /**
   * §7: state machine and sessions begin anew from a snapshot.
   * @throws RaftError ERR_MACHINE_MODULE for a snapshot of a newer machine, ERR_MACHINE_THREW when it cannot be restored.
   */
  restore({ index, time, version }: SnapshotInfo, chunks: Iterable<Uint8Array>): void {
    if (version > this.version) {
      const message = `the snapshot of ${this.#id} was written by version ${version} of the state machine, this is ${this.version}`;
      throw new RaftError("ERR_MACHINE_MODULE", message);
    }
    const enter = () => this.#calls.enter("restore", index);
    try {
      enter();
      const content = splitContent(eachAfter(enter, chunks));
      const sessions = Sessions.restore(content.sessions);
      this.#machine.restore(content.machine);
      this.#calls.leave();
      this.#sessions = sessions;
    } catch (cause) {
      if (cause instanceof RaftError) throw cause;
      const message = `the state machine of ${this.#id} cannot be restored from the snapshot of ${index}: ${String(cause)}`;
      throw new RaftError("ERR_MACHINE_THREW", message, { cause });
    }
    this.#lastApplied = index;
    this.#lastTime = time;
  }

  /** @returns what the entry came to, and the command that was given to the state machine. */
  #applyEntry(kind: EntryKind, data: Uint8Array, at: ApplyContext): { applied: Applied; command?: unknown } {
    let command: unknown;
    const carryOut = (encoded: Uint8Array) => {
      command = decode(encoded);
      this.#calls.enter("apply", at.index);
      const applied = applyCommand(this.#machine, command, at);
      this.#calls.leave();
      return applied;
    };
    switch (kind) {
      case EntryKind.command:
        return { applied: carryOut(data), command };
      case EntryKind.sessionCommand: {
        const applied = this.#sessions.apply(data, at, carryOut);
        return { applied, command };
      }
      default:
        return { applied: NOTHING };
    }
  }
}

function* eachAfter<Item>(before: () => void, items: Iterable<Item>): Iterable<Item> {
  for (const item of items) {
    before();
    yield item;
  }
}

/** An entry that was applied, for those who watch. */
export function describeApplied(index: number, term: number, kind: EntryKind, command: unknown): AppliedEntry {
  switch (kind) {
    case EntryKind.sessionCommand:
      if (command === undefined) return { index, term, kind: "session" };
      return { index, term, kind: "command", command };
    case EntryKind.command:
      return { index, term, kind: "command", command };
    case EntryKind.noop:
      return { index, term, kind: "noop" };
    case EntryKind.configuration:
      return { index, term, kind: "configuration" };
  }
}
