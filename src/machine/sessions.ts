import { getFloat64, setFloat64 } from "../raft/bytes.ts";
import type { ByteRange } from "../raft/entry.ts";
import type { Outcome, RaftErrorCode } from "../raft/errors.ts";
import { Fifo } from "../raft/fifo.ts";
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

/** Writes a header in front of the encoded command that begins at `at`. */
export function writeSessionHeader(bytes: Uint8Array, at: number, header: SessionHeader): void {
  setFloat64(bytes, at - 32, header.session);
  setFloat64(bytes, at - 24, header.sequence);
  setFloat64(bytes, at - 16, header.acknowledged);
  setFloat64(bytes, at - 8, header.owner);
}

/** The data of an entry: a header, and the encoded command behind it. */
export function packSessionCommand(header: SessionHeader, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SESSION_HEADER_BYTES + command.byteLength);
  writeSessionHeader(bytes, SESSION_HEADER_BYTES, header);
  bytes.set(command, SESSION_HEADER_BYTES);
  return bytes;
}

/** The data of an entry that opens a session, which expires after `expireMs` without a command. */
export function packOpenSession(owner: number, expireMs: number): Uint8Array {
  return packSessionCommand({ session: 0, sequence: 0, acknowledged: expireMs, owner }, new Uint8Array());
}

/** The header of an entry's data. @throws RangeError when the data is too short for one. */
export function readSessionHeader({ bytes, start, end }: ByteRange): SessionHeader {
  if (end - start < SESSION_HEADER_BYTES) throw new RangeError(`${end - start} bytes are no command of a session`);
  return {
    session: getFloat64(bytes, start),
    sequence: getFloat64(bytes, start + 8),
    acknowledged: getFloat64(bytes, start + 16),
    owner: getFloat64(bytes, start + 24),
  };
}

/** Of the entry that is applied. */
interface At {
  readonly index: number;
  readonly time: number;
}

/** Carries out the command that lies from `start` to `end` of `bytes`. */
type CarryOut<Place extends At> = (bytes: Uint8Array, start: number, end: number, at: Place) => Applied;

interface Session {
  readonly owner: number;
  readonly expireMs: number;
  /** The time stamp of its last command. */
  lastUsed: number;
  /** The index of that command. Who was used least recently is the one with the least. */
  lastIndex: number;
  /** The number of the last command that was carried out. */
  lastSequence: number;
  /** What the commands from the first that is not acknowledged to the last came to. */
  readonly results: Fifo<Applied>;
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
  /** The one that was used last. */
  #latest: Session | undefined;
  /** The ids of those that have come, changed or gone since `takeChanges`; undefined when nobody asks for them. */
  #changed: Set<number> | undefined;

  /** @param records what `freeze` or `takeChanges` gave, in any order. */
  static restore(records: Iterable<Uint8Array>): Sessions {
    const sessions = new Sessions();
    const found = Array.from(records, (record) => {
      const [id, owner, expireMs, lastUsed, lastIndex, lastSequence, , packed] = decode(record) as SessionRecord;
      const results = new Fifo<Applied>();
      for (const result of decodeResults(packed)) results.push(result);
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
  apply<Place extends At>(data: ByteRange, at: Place, carryOut: CarryOut<Place>): Applied {
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
    const session = {
      owner,
      expireMs,
      lastUsed: time,
      lastIndex: index,
      lastSequence: 0,
      results: new Fifo<Applied>(),
    };
    this.#sessions.set(index, session);
    this.#latest = session;
    this.#changed?.add(index);
    return { result: index, threw: undefined };
  }

  #delete(id: number): void {
    if (this.#sessions.delete(id)) this.#changed?.add(id);
  }

  #apply<Place extends At>(header: SessionHeader, data: ByteRange, at: Place, carryOut: CarryOut<Place>): Applied {
    const { session: id, sequence, acknowledged, owner } = header;
    const { index, time } = at;
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
    if (this.#latest !== session) {
      this.#sessions.delete(id);
      this.#sessions.set(id, session);
      this.#latest = session;
    }
    const { results } = session;
    while (results.length > 0 && firstKept(session) < acknowledged) results.shift();
    if (sequence <= session.lastSequence) {
      const message = `command ${sequence} of session ${id} was carried out, and its result is not kept any more`;
      return results.at(sequence - firstKept(session)) ?? refuse("ERR_SESSION_CONFLICT", message, "applied");
    }
    if (sequence !== session.lastSequence + 1) {
      const message = `command ${sequence} of session ${id} came after command ${session.lastSequence}`;
      return refuse("ERR_SESSION_GAP", message);
    }
    if (results.length >= MAX_RESULTS) {
      const message = `session ${id} has ${MAX_RESULTS} results that its client has not acknowledged`;
      return refuse("ERR_OVERLOADED", message);
    }
    const { bytes, start, end } = data;
    const command = start + SESSION_HEADER_BYTES;
    const applied = command === end ? SKIPPED : carryOut(bytes, command, end, at);
    session.lastSequence = sequence;
    results.push(applied);
    return applied;
  }
}

/** The number of the command that the first of the results is of. */
function firstKept({ lastSequence, results }: Session): number {
  return lastSequence - results.length + 1;
}

function recordOf(
  id: number,
  { owner, expireMs, lastUsed, lastIndex, lastSequence }: Omit<Session, "results">,
  results: readonly Applied[],
): Uint8Array {
  const sequences = results.map((_, at) => lastSequence - results.length + 1 + at);
  const packed = encodeResults(results);
  return pack([id, owner, expireMs, lastUsed, lastIndex, lastSequence, sequences, packed] satisfies SessionRecord);
}

function isExpired({ lastUsed, expireMs }: Session, time: number): boolean {
  return time - lastUsed > expireMs;
}

function refuse(code: RaftErrorCode, message: string, outcome: Outcome = "not-applied"): Applied {
  return { result: undefined, threw: { name: "RaftError", message, refusal: { code, outcome } } };
}
