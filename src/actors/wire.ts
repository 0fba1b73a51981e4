import { getFloat64, getUint32, setFloat64, setUint32 } from "../raft/bytes.ts";
import type { SnapshotInfo } from "../raft/effects.ts";
import { parseBatches } from "../raft/entry.ts";
import { InvariantError, invariant } from "../raft/errors.ts";
import type { InstallSnapshot, Message, MessageType, PeerId } from "../raft/message.ts";
import { unfilledBytes } from "../raft/unfilled-bytes.ts";

/**
 * All that one peer says to one neighbour at the end of a drain. `bytes` holds one frame a message:
 *
 *     frame  0 u32 length   of the whole frame
 *            4 u8  type
 *            5     the message's fields in the order of their declaration: numbers as f64, booleans as u8; after those of
 *                  an AppendEntries its batches, as they are (see entry.ts); after those of an InstallSnapshot the length
 *                  of its info as f64, the info as JSON, and the data
 *
 * All numbers are little-endian. The network looks at lengths and types only.
 */
export interface Packet {
  readonly kind: "packet";
  readonly group: string;
  readonly from: PeerId;
  readonly to: PeerId;
  /** The sender's own. */
  readonly fromIncarnation: number;
  /** The addressee's as far as the sender knows it; 0 when it does not, and then the network fills it in. */
  readonly toIncarnation: number;
  /** All that it holds is quiet: it lies in the inbox until something else wakes the addressee, its timer at the latest. */
  readonly isQuiet: boolean;
  /** Nobody else's: the buffer is transferred on its way, and the batches decoded from it may be written to. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What the network brings to a peer. */
export type Delivery =
  /** `arrivedAt`: when a quiet packet came into the inbox, by the clock that the peer's timers run by. */
  | (Packet & { readonly arrivedAt?: number })
  /** That incarnation of `peer` is dead. */
  | { readonly kind: "down"; readonly peer: PeerId; readonly incarnation: number }
  /** A call to `peer` failed: the request or its reply was lost. Said in the network of labrpc only. */
  | { readonly kind: "unreachable"; readonly peer: PeerId };

/** The same packet with other bytes. */
export function packetWith(packet: Packet, bytes: Packet["bytes"]): Packet {
  const { kind, group, from, to, fromIncarnation, toIncarnation, isQuiet } = packet;
  return { kind, group, from, to, fromIncarnation, toIncarnation, isQuiet, bytes };
}

/** A quiet packet that has come into an inbox. */
export function arrived(packet: Packet, arrivedAt: number): Delivery {
  const { kind, group, from, to, fromIncarnation, toIncarnation, isQuiet, bytes } = packet;
  return { kind, group, from, to, fromIncarnation, toIncarnation, isQuiet, bytes, arrivedAt };
}

const FRAME_HEADER_BYTES = 5;
const MAX_FRAME_BYTES = 2 ** 32 - 1;
const NOTHING = new Uint8Array();

const TYPE_CODES: Readonly<Record<MessageType, number>> = {
  PreVote: 1,
  PreVoteReply: 2,
  RequestVote: 3,
  RequestVoteReply: 4,
  AppendEntries: 5,
  AppendEntriesReply: 6,
  InstallSnapshot: 7,
  InstallSnapshotReply: 8,
  ReadIndex: 9,
  ReadIndexReply: 10,
};

/** By code. */
const TYPES: readonly (MessageType | undefined)[] = Object.entries(TYPE_CODES).reduce<(MessageType | undefined)[]>(
  (types, [type, code]) => {
    types[code] = type as MessageType;
    return types;
  },
  [],
);

/** Of a frame, header included, without what is of no fixed length: batches, a snapshot's info and data. */
const FIXED_BYTES: Readonly<Record<MessageType, number>> = {
  PreVote: FRAME_HEADER_BYTES + 3 * 8,
  PreVoteReply: FRAME_HEADER_BYTES + 2 * 8 + 1,
  RequestVote: FRAME_HEADER_BYTES + 3 * 8,
  RequestVoteReply: FRAME_HEADER_BYTES + 8 + 1,
  AppendEntries: FRAME_HEADER_BYTES + 5 * 8 + 1,
  AppendEntriesReply: FRAME_HEADER_BYTES + 6 * 8 + 1,
  InstallSnapshot: FRAME_HEADER_BYTES + 6 * 8,
  InstallSnapshotReply: FRAME_HEADER_BYTES + 4 * 8 + 1,
  ReadIndex: FRAME_HEADER_BYTES + 2 * 8,
  ReadIndexReply: FRAME_HEADER_BYTES + 3 * 8 + 1,
};

/** Whether a message asks; all others answer one that does. */
export function isRequest(type: MessageType): boolean {
  switch (type) {
    case "PreVote":
    case "RequestVote":
    case "AppendEntries":
    case "InstallSnapshot":
    case "ReadIndex":
      return true;
    case "PreVoteReply":
    case "RequestVoteReply":
    case "AppendEntriesReply":
    case "InstallSnapshotReply":
    case "ReadIndexReply":
      return false;
  }
}

/** A place in bytes that moves on with each field written or read there. */
class Cursor {
  readonly bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.bytes = bytes;
    this.offset = offset;
  }

  putNumber(value: number): void {
    setFloat64(this.bytes, this.offset, value);
    this.offset += 8;
  }

  put(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.offset);
    this.offset += bytes.byteLength;
  }

  putFlag(value: boolean): void {
    this.bytes[this.offset] = value ? 1 : 0;
    this.offset += 1;
  }

  number(): number {
    const value = getFloat64(this.bytes, this.offset);
    this.offset += 8;
    return value;
  }

  flag(): boolean {
    const value = this.bytes[this.offset] ?? -1;
    invariant(value === 0 || value === 1, () => `a boolean is 0 or 1, got ${value} at byte ${this.offset}`);
    this.offset += 1;
    return value === 1;
  }
}

/** Whether frames of this type may be longer than their fixed fields. */
function isOpenEnded(type: MessageType): boolean {
  return type === "AppendEntries" || type === "InstallSnapshot";
}

/** The info of a snapshot, as it is sent; nothing when the message has none. */
function infoBytes({ info }: InstallSnapshot): Uint8Array {
  return info === undefined ? NOTHING : Buffer.from(JSON.stringify(info));
}

function frameBytes(message: Message): number {
  let length = FIXED_BYTES[message.type];
  if (message.type === "AppendEntries") for (const batch of message.batches) length += batch.bytes.byteLength;
  if (message.type === "InstallSnapshot") length += infoBytes(message).byteLength + message.data.byteLength;
  invariant(length <= MAX_FRAME_BYTES, () => `a message of ${length} bytes, at most ${MAX_FRAME_BYTES} fit a frame`);
  return length;
}

function writeFields(cursor: Cursor, message: Message): void {
  switch (message.type) {
    case "PreVote":
    case "RequestVote":
      cursor.putNumber(message.term);
      cursor.putNumber(message.lastLogIndex);
      cursor.putNumber(message.lastLogTerm);
      return;
    case "PreVoteReply":
      cursor.putNumber(message.term);
      cursor.putNumber(message.proposedTerm);
      cursor.putFlag(message.voteGranted);
      return;
    case "RequestVoteReply":
      cursor.putNumber(message.term);
      cursor.putFlag(message.voteGranted);
      return;
    case "AppendEntries":
      cursor.putNumber(message.term);
      cursor.putNumber(message.prevLogIndex);
      cursor.putNumber(message.prevLogTerm);
      cursor.putNumber(message.leaderCommit);
      cursor.putNumber(message.round);
      cursor.putFlag(message.isQuiet);
      for (const batch of message.batches) {
        cursor.put(batch.bytes);
      }
      return;
    case "AppendEntriesReply":
      cursor.putNumber(message.term);
      cursor.putNumber(message.round);
      cursor.putFlag(message.success);
      cursor.putNumber(message.prevLogIndex);
      cursor.putNumber(message.matchIndex);
      cursor.putNumber(message.conflictIndex);
      cursor.putNumber(message.conflictTerm);
      return;
    case "InstallSnapshot": {
      const info = infoBytes(message);
      cursor.putNumber(message.term);
      cursor.putNumber(message.round);
      cursor.putNumber(message.lastIncludedIndex);
      cursor.putNumber(message.lastIncludedTerm);
      cursor.putNumber(message.chunk);
      cursor.putNumber(info.byteLength);
      cursor.put(info);
      cursor.put(message.data);
      return;
    }
    case "InstallSnapshotReply":
      cursor.putNumber(message.term);
      cursor.putNumber(message.round);
      cursor.putNumber(message.lastIncludedIndex);
      cursor.putNumber(message.nextChunk);
      cursor.putFlag(message.installed);
      return;
    case "ReadIndex":
      cursor.putNumber(message.term);
      cursor.putNumber(message.token);
      return;
    case "ReadIndexReply":
      cursor.putNumber(message.term);
      cursor.putNumber(message.token);
      cursor.putFlag(message.granted);
      cursor.putNumber(message.index);
      return;
    default:
      throw unknownMessage(message);
  }
}

function unknownMessage(message: never): InvariantError {
  return new InvariantError(`no frame for a message like ${JSON.stringify(message)}`);
}

/** Reads the fields behind a frame's header. Fields are read in the order in which literals are evaluated: as written. */
function readFields(cursor: Cursor, type: MessageType, end: number): Message {
  switch (type) {
    case "PreVote":
    case "RequestVote":
      return { type, term: cursor.number(), lastLogIndex: cursor.number(), lastLogTerm: cursor.number() };
    case "PreVoteReply":
      return { type, term: cursor.number(), proposedTerm: cursor.number(), voteGranted: cursor.flag() };
    case "RequestVoteReply":
      return { type, term: cursor.number(), voteGranted: cursor.flag() };
    case "AppendEntries":
      return {
        type,
        term: cursor.number(),
        prevLogIndex: cursor.number(),
        prevLogTerm: cursor.number(),
        leaderCommit: cursor.number(),
        round: cursor.number(),
        isQuiet: cursor.flag(),
        batches: parseBatches(cursor.bytes, cursor.offset, end),
      };
    case "AppendEntriesReply":
      return {
        type,
        term: cursor.number(),
        round: cursor.number(),
        success: cursor.flag(),
        prevLogIndex: cursor.number(),
        matchIndex: cursor.number(),
        conflictIndex: cursor.number(),
        conflictTerm: cursor.number(),
      };
    case "InstallSnapshot": {
      const fields = {
        term: cursor.number(),
        round: cursor.number(),
        lastIncludedIndex: cursor.number(),
        lastIncludedTerm: cursor.number(),
        chunk: cursor.number(),
      };
      const dataAt = cursor.number() + cursor.offset;
      invariant(
        dataAt >= cursor.offset && dataAt <= end,
        () => `the info of a snapshot ends at byte ${dataAt} of a frame that ends at ${end}`,
      );
      return {
        type,
        ...fields,
        info: readInfo(cursor.bytes.subarray(cursor.offset, dataAt)),
        data: cursor.bytes.subarray(dataAt, end),
      };
    }
    case "InstallSnapshotReply":
      return {
        type,
        term: cursor.number(),
        round: cursor.number(),
        lastIncludedIndex: cursor.number(),
        nextChunk: cursor.number(),
        installed: cursor.flag(),
      };
    case "ReadIndex":
      return { type, term: cursor.number(), token: cursor.number() };
    case "ReadIndexReply":
      return {
        type,
        term: cursor.number(),
        token: cursor.number(),
        granted: cursor.flag(),
        index: cursor.number(),
      };
  }
}

function readInfo(bytes: Uint8Array): SnapshotInfo | undefined {
  if (bytes.byteLength === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as SnapshotInfo;
  } catch (error) {
    throw new InvariantError(`the info of a snapshot is not readable: ${String(error)}`);
  }
}

/** Packs messages into frames, in one buffer of exactly their size, which holds copies of all batches. */
export function encodeFrames(messages: readonly Message[]): Uint8Array<ArrayBuffer> {
  let byteLength = 0;
  for (const message of messages) byteLength += frameBytes(message);
  const bytes = unfilledBytes(byteLength);
  const cursor = new Cursor(bytes, 0);
  for (const message of messages) {
    const start = cursor.offset;
    cursor.offset += FRAME_HEADER_BYTES;
    writeFields(cursor, message);
    setUint32(bytes, start, cursor.offset - start);
    bytes[start + 4] = TYPE_CODES[message.type];
  }
  return bytes;
}

/**
 * The messages in frames; batches are views of `bytes`, not copies.
 * @throws InvariantError when the bytes are no frames.
 */
export function decodeFrames(bytes: Uint8Array): Message[] {
  const messages: Message[] = [];
  forEachFrame(bytes, (type, start, end) => messages.push(decodeFrame(bytes, type, start, end)));
  return messages;
}

/** The message in a frame that `forEachFrame` has found. */
export function decodeFrame(bytes: Uint8Array, type: MessageType, start: number, end: number): Message {
  return readFields(new Cursor(bytes, start + FRAME_HEADER_BYTES), type, end);
}

/**
 * Calls `visit` for each frame, which lies in `start..end`, the end not included; looks at nothing but its header.
 * @throws InvariantError when the bytes are no frames.
 */
export function forEachFrame(bytes: Uint8Array, visit: (type: MessageType, start: number, end: number) => void): void {
  let start = 0;
  while (start < bytes.byteLength) {
    const room = bytes.byteLength - start;
    invariant(room >= FRAME_HEADER_BYTES, () => `a frame needs ${FRAME_HEADER_BYTES} bytes, got ${room}`);
    const length = getUint32(bytes, start);
    const code = bytes[start + 4] ?? 0;
    const type = TYPES[code];
    invariant(type !== undefined, () => `no message has the type ${code}`);
    const fixed = FIXED_BYTES[type];
    invariant(
      length <= room && (length === fixed || (isOpenEnded(type) && length > fixed)),
      () => `a frame of ${length} bytes for ${type}, whose fixed fields take ${fixed}, and ${room} are there`,
    );
    visit(type, start, start + length);
    start += length;
  }
}
