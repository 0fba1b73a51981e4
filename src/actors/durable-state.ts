import { decode, packBriefly } from "../machine/codec.ts";
import { BEHIND_ALL_KEYS, Overlay, type StateTable } from "../machine/overlay.ts";
import { joinRecords, readRecords } from "../machine/records.ts";
import type { SessionChange } from "../machine/sessions.ts";
import type { ApplyContext, DurableStateMachine } from "../machine/state-machine.ts";
import { RaftError } from "../raft/errors.ts";
import type { FrozenTable, KeyedRecord } from "../storage/records.ts";
import type { AppliedState, MachineChange, MachineTable } from "../storage/store.ts";

/*
 * What a durable machine and the clients' sessions have in the store: keys of the machine begin with one letter, those of
 * the sessions with another.
 */
const STATE = "k";
const SESSION = "s";

/** How many records are read at a time for a snapshot, and of sessions. */
const PAGE = 256;

/**
 * The first record of a snapshot; no state machine in memory is likely to begin with it. Then comes a record for each of
 * the state's, and last their number.
 */
const MARK = "flotilla/durable-state/1";

/** A durable state machine together with its state, so that a peer can treat it nearly as one in memory. */
export class DurableState {
  readonly #machine: DurableStateMachine;
  readonly #table: MachineTable;
  readonly #overlay: Overlay;
  #frozen: FrozenTable | undefined;
  /** What the store threw when the machine read from it, whatever the machine made of that. */
  #failure: unknown;

  /** @param table of the peer's store. */
  constructor(machine: DurableStateMachine, table: MachineTable) {
    this.#machine = machine;
    this.#table = table;
    const { page } = within(table, STATE);
    this.#overlay = new Overlay({
      get: (key) => this.#read(() => table.get(STATE + key)),
      page: (range) => this.#read(() => page(range)),
    });
  }

  get version(): number {
    return this.#machine.version ?? 0;
  }

  /** About how much memory waits for `changed`. */
  get waitingBytes(): number {
    return this.#overlay.bytes;
  }

  /**
   * A store that cannot be read is no reason for a result that other peers do not have.
   * @throws what the store threw while the machine read from it.
   */
  checkReadings(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  apply(command: unknown, context: ApplyContext): unknown {
    return this.#overlay.change((state) => this.#machine.apply(command, context, state), isSettled);
  }

  query(query: unknown): unknown {
    return this.#machine.query(query, this.#overlay.reader);
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  /** What the store does not have yet. Once that is saved, `saved` is to be called. */
  change(applied: AppliedState, sessions: readonly SessionChange[]): MachineChange {
    const records: { key: string; value: Uint8Array | undefined }[] = [];
    for (const [key, value] of this.#overlay.changes) records.push({ key: STATE + key, value });
    for (const { id, record } of sessions) records.push({ key: SESSION + id, value: record });
    return { applied, records };
  }

  saved(): void {
    this.#overlay.clear();
  }

  /** The records of the sessions that the store has. */
  *sessions(): Generator<Uint8Array> {
    for (const { value } of recordsOf(within(this.#table, SESSION))) yield value;
  }

  /** The state as the store has it now, to be pulled while it changes. There may be one at a time; see `release`. */
  snapshot(): Iterable<Uint8Array> {
    this.release();
    const frozen = this.#table.freeze();
    this.#frozen = frozen;
    function* records(): Generator<Uint8Array> {
      yield packBriefly(MARK);
      let count = 0;
      for (const { key, value } of recordsOf(within(frozen, STATE))) {
        yield packBriefly([key, value]);
        count++;
      }
      yield packBriefly(count);
    }
    return joinRecords(records());
  }

  /** Nothing more of the snapshot is pulled. */
  release(): void {
    this.#frozen?.release();
    this.#frozen = undefined;
  }

  /** Begins anew with the content of a snapshot, and with the sessions that were in it. */
  restore(content: Iterable<Uint8Array>, sessions: readonly SessionChange[], applied: AppliedState): void {
    this.release();
    this.#table.replace(restored(content, sessions), applied);
    this.#overlay.clear();
  }

  /**
   * The state is there. Brings it to the machine's version, and shows it to the machine.
   * @returns whether there is something to save now.
   * @throws RaftError ERR_MACHINE_MODULE when the machine cannot do with a state of that version; what the machine throws.
   */
  open({ index, version }: Pick<AppliedState, "index" | "version">): boolean {
    const machine = this.#machine;
    const isOlder = index > 0 && version < this.version;
    if (isOlder) {
      if (machine.migrate === undefined) {
        const message = `the state is of version ${version} of the state machine, this is ${this.version} and has no migrate`;
        throw new RaftError("ERR_MACHINE_MODULE", message);
      }
      this.#overlay.change((state) => machine.migrate?.(version, state), isSettled);
    }
    machine.opened?.(this.#overlay.reader, index);
    return isOlder;
  }
}

/** A promise is no result: what it comes to would not be the same on every peer. */
function isSettled(result: unknown): boolean {
  return typeof (result as { then?: unknown } | null | undefined)?.then !== "function";
}

/** The records whose keys begin with `prefix`, without it. */
function within(table: Pick<StateTable, "page">, prefix: string): Pick<StateTable, "page"> {
  return {
    page: ({ from, to, limit }) =>
      table
        .page({ from: prefix + from, to: prefix + to, limit })
        .map(({ key, value }) => ({ key: key.slice(prefix.length), value })),
  };
}

/** All records of a table, a page at a time. */
function* recordsOf(table: Pick<StateTable, "page">): Generator<KeyedRecord> {
  let from = "";
  for (;;) {
    const page = table.page({ from, to: BEHIND_ALL_KEYS, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    from = `${last.key}\0`;
  }
}

function* restored(content: Iterable<Uint8Array>, sessions: readonly SessionChange[]): Generator<KeyedRecord> {
  let count = -1;
  let end: number | undefined;
  for (const record of readRecords(content)) {
    const decoded = decode(record) as string | number | [key: string, value: Uint8Array];
    if (count === -1 && decoded !== MARK) throw new Error("it is not that of a durable state machine");
    if (Array.isArray(decoded)) yield { key: STATE + decoded[0], value: decoded[1] };
    else if (typeof decoded === "number") end = decoded;
    count++;
  }
  if (end !== count - 1) throw new Error(`it ends after ${Math.max(0, count)} records, before its end`);
  for (const { id, record } of sessions) if (record !== undefined) yield { key: SESSION + id, value: record };
}
