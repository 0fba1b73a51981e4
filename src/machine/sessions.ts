import { getFloat64, setFloat64 } from "../raft/bytes.ts";
import type { Outcome, RaftErrorCode } from "../raft/errors.ts";
import type { Applied } from "./apply.ts";
import { decode, decodeResults, encodeResults, pack } from "./codec.ts";

/**
 * Sessions make a command that is sent twice have one effect (dissertation 6.3). They are part of the replicated state:
 * every peer holds the same table, and decides by nothing but the log.
 *
 * The data of an entry of kind `sessionCommand`, little-endian:
 *
 *      0 f64 session       the id: the index of the entry that opened it; 0: this entry opens one
 *      8 f64 sequence      numbers the session's commands from 1; 0 in the entry that opens it
 *     16 f64 acknowledged  the client needs no result of a lower number any more; in the entry that opens the session:
 *                          after how many milliseconds without a command it expires
 *     24 f64 owner         drawn at random by the client that opened the session
 *     32     the command, encoded; nothing: only the number is used up
 */
export const SESSION_HEADER_BYTES = 32;

/**
 * The most sessions there are; one more, and the one that was used least recently goes. Part of the format: every peer
 * must go by the same number.
 */
export const MAX_SESSIONS = 10_000;

/** The most results a session keeps, and so the most commands of it that may be under way. Part of the format too. */
export const MAX_RESULTS = 1_024;

/** What stands before the command in an entry's data. */
export interface SessionHeader {
  readonly session: number;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly owner: number;
}

/** The data of an entry: a header, and the encoded command behind it. */
export function packSessionCommand(header: SessionHeader, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SESSION_HEADER_BYTES + command.byteLength);
  setFloat64(bytes, 0, header.session);
  setFloat64(bytes, 8, header.sequence);
  setFloat64(bytes, 16, header.acknowledged);
  setFloat64(bytes, 24, header.owner);
  bytes.set(command, SESSION_HEADER_BYTES);
  return bytes;
}

/** The data of an entry that opens a session, which expires after `expireMs` without a command. */
export function packOpenSession(owner: number, expireMs: number): Uint8Array {
  return packSessionCommand({ session: 0, sequence: 0, acknowledged: expireMs, owner }, new Uint8Array());
}

/** The header of an entry's data. @throws RangeError when the data is too short for one. */
export function readSessionHeader(data: Uint8Array): SessionHeader {
  return {
    session: getFloat64(data, 0),
    sequence: getFloat64(data, 8),
    acknowledged: getFloat64(data, 16),
    owner: getFloat64(data, 24),
  };
}

/** Of the entry that is applied. */
interface At {
  readonly index: number;
  readonly time: number;
}

interface Session {
  readonly owner: number;
  readonly expireMs: number;
  /** The time stamp of its last command. */
  lastUsed: number;
  /** The index of that command. Who was used least recently is the one with the least. */
  lastIndex: number;
  /** The number of the last command that was carried out. */
  lastSequence: number;
  /** What the commands from the acknowledged one to the last came to. */
  readonly results: Map<number, Applied>;
}

type SessionRecord = readonly [
  id: number,
  owner: number,
  expireMs: number,
  lastUsed: number,
  lastIndex: number,
  lastSequence: number,
  sequences: readonly number[],
  results: Uint8Array,
];

/** A session's record, for who keeps them one by one; undefined: the session is gone. */
export interface SessionChange {
  readonly id: number;
  readonly record: Uint8Array | undefined;
}

const SKIPPED: Applied = { result: undefined, threw: undefined };

/** The table of sessions of one peer. */
export class Sessions {
  /** By id; who was used least recently comes first. */
  readonly #sessions = new Map<number, Session>();
  /** The ids of those that have come, changed or gone since `takeChanges`; undefined when nobody asks for them. */
  #changed: Set<number> | undefined;

  /** @param records what `freeze` or `takeChanges` gave, in any order. */
  static restore(records: Iterable<Uint8Array>): Sessions {
    const sessions = new Sessions();
    const found = Array.from(records, (record) => {
      const [id, owner, expireMs, lastUsed, lastIndex, lastSequence, sequences, packed] = decode(
        record,
      ) as SessionRecord;
      const results = new Map<number, Applied>();
      for (const [at, result] of decodeResults(packed).entries()) results.set(sequences[at] ?? 0, result);
      return { id, session: { owner, expireMs, lastUsed, lastIndex, lastSequence, results } };
    });
    found.sort((left, right) => left.session.lastIndex - right.session.lastIndex);
    for (const { id, session } of found) sessions.#sessions.set(id, session);
    return sessions;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Applies an entry. `carryOut` is called for a command that is the next of its session, and for no other; the result
   * of one that was carried out before is the one it came to then.
   */
  apply(data: Uint8Array, at: At, carryOut: (command: Uint8Array) => Applied): Applied {
    const header = readSessionHeader(data);
    return header.session === 0 ? this.#open(header, at) : this.#apply(header, data, at, carryOut);
  }

  /** The table as it is now, one record a session; they are encoded when they are pulled. */
  freeze(): { readonly count: number; readonly records: Iterable<Uint8Array> } {
    const frozen: Parameters<typeof recordOf>[] = [];
    for (const [id, { owner, expireMs, lastUsed, lastIndex, lastSequence, results }] of this.#sessions) {
      frozen.push([id, { owner, expireMs, lastUsed, lastIndex, lastSequence }, [...results]]);
    }
    function* records(): Generator<Uint8Array> {
      for (const [id, session, results] of frozen) yield recordOf(id, session, results);
    }
    return { count: frozen.length, records: records() };
  }

  /** From now on changes are noted, for who keeps the table record by record. @param known what it has already. */
  noteChanges(known: "all" | "nothing"): void {
    this.#changed = new Set(known === "all" ? [] : this.#sessions.keys());
  }

  /** The sessions that have changed since the last call; undefined for one that is gone. */
  takeChanges(): SessionChange[] {
    const changes: SessionChange[] = [];
    for (const id of this.#changed ?? []) {
      const session = this.#sessions.get(id);
      changes.push({ id, record: session && recordOf(id, session, [...session.results]) });
    }
    this.#changed?.clear();
    return changes;
  }

  #open({ owner, acknowledged: expireMs }: SessionHeader, { index, time }: At): Applied {
    for (const [id, session] of this.#sessions) {
      if (this.#sessions.size < MAX_SESSIONS && !isExpired(session, time)) break;
      this.#delete(id);
    }
    const session = { owner, expireMs, lastUsed: time, lastIndex: index, lastSequence: 0, results: new Map() };
    this.#sessions.set(index, session);
    this.#changed?.add(index);
    return { result: index, threw: undefined };
  }

  #delete(id: number): void {
    if (this.#sessions.delete(id)) this.#changed?.add(id);
  }

  #apply(
    header: SessionHeader,
    data: Uint8Array,
    { index, time }: At,
    carryOut: (command: Uint8Array) => Applied,
  ): Applied {
    const { session: id, sequence, acknowledged, owner } = header;
    const session = this.#sessions.get(id);
    if (session === undefined || isExpired(session, time)) {
      this.#delete(id);
      return refuse("ERR_SESSION_EXPIRED", `session ${id} has expired, or had to make room for others`);
    }
    if (session.owner !== owner) {
      return refuse("ERR_SESSION_CONFLICT", `session ${id} is another client's, who opened it`);
    }
    session.lastUsed = time;
    session.lastIndex = index;
    this.#changed?.add(id);
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    for (const done of session.results.keys()) {
      if (done >= acknowledged) break;
      session.results.delete(done);
    }
    if (sequence <= session.lastSequence) {
      const message = `command ${sequence} of session ${id} was carried out, and its result is not kept any more`;
      return session.results.get(sequence) ?? refuse("ERR_SESSION_CONFLICT", message, "applied");
    }
    if (sequence !== session.lastSequence + 1) {
      const message = `command ${sequence} of session ${id} came after command ${session.lastSequence}`;
      return refuse("ERR_SESSION_GAP", message);
    }
    if (session.results.size >= MAX_RESULTS) {
      const message = `session ${id} has ${MAX_RESULTS} results that its client has not acknowledged`;
      return refuse("ERR_OVERLOADED", message);
    }
    const command = data.subarray(SESSION_HEADER_BYTES);
    const applied = command.byteLength === 0 ? SKIPPED : carryOut(command);
    session.lastSequence = sequence;
    session.results.set(sequence, applied);
    return applied;
  }
}

function recordOf(
  id: number,
  { owner, expireMs, lastUsed, lastIndex, lastSequence }: Omit<Session, "results">,
  results: readonly (readonly [sequence: number, result: Applied])[],
): Uint8Array {
  const sequences = results.map(([sequence]) => sequence);
  const packed = encodeResults(results.map(([, result]) => result));
  return pack([id, owner, expireMs, lastUsed, lastIndex, lastSequence, sequences, packed] satisfies SessionRecord);
}

function isExpired({ lastUsed, expireMs }: Session, time: number): boolean {
  return time - lastUsed > expireMs;
}

function refuse(code: RaftErrorCode, message: string, outcome: Outcome = "not-applied"): Applied {
  return { result: undefined, threw: { name: "RaftError", message, refusal: { code, outcome } } };
}
