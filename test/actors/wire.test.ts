import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrames, encodeFrames, forEachFrame, isRequest } from "../../src/actors/wire.ts";
import { type Batch, EntryKind, packEntries, stampBatch } from "../../src/raft/entry.ts";
import { InvariantError } from "../../src/raft/errors.ts";
import type { AppendEntries, Message, MessageType } from "../../src/raft/message.ts";

const number = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER });
const flag = fc.boolean();

const batch: fc.Arbitrary<Batch> = fc
  .record({
    data: fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 4 }),
    firstIndex: fc.integer({ min: 1, max: 2 ** 50 }),
    term: fc.nat(),
    time: fc.nat(),
  })
  .map(({ data, ...at }) => stampBatch(packEntries(EntryKind.command, data), at));

const arbitraryOf: { [Type in MessageType]: fc.Arbitrary<Extract<Message, { type: Type }>> } = {
  ReadIndex: fc.record({ type: fc.constant("ReadIndex"), term: number, token: number }),
  ReadIndexReply: fc.record({
    type: fc.constant("ReadIndexReply"),
    term: number,
    token: number,
    granted: flag,
    index: number,
  }),
  PreVote: fc.record({ type: fc.constant("PreVote"), term: number, lastLogIndex: number, lastLogTerm: number }),
  PreVoteReply: fc.record({
    type: fc.constant("PreVoteReply"),
    term: number,
    proposedTerm: number,
    voteGranted: flag,
  }),
  RequestVote: fc.record({ type: fc.constant("RequestVote"), term: number, lastLogIndex: number, lastLogTerm: number }),
  RequestVoteReply: fc.record({ type: fc.constant("RequestVoteReply"), term: number, voteGranted: flag }),
  AppendEntries: fc.record({
    type: fc.constant("AppendEntries"),
    term: number,
    prevLogIndex: number,
    prevLogTerm: number,
    leaderCommit: number,
    round: number,
    isQuiet: flag,
    batches: fc.array(batch, { maxLength: 4 }),
  }),
  AppendEntriesReply: fc.record({
    type: fc.constant("AppendEntriesReply"),
    term: number,
    round: number,
    success: flag,
    prevLogIndex: number,
    matchIndex: number,
    conflictIndex: number,
    conflictTerm: number,
  }),
  InstallSnapshot: fc.record({
    type: fc.constant("InstallSnapshot"),
    term: number,
    round: number,
    lastIncludedIndex: number,
    lastIncludedTerm: number,
    chunk: number,
    info: fc.option(
      fc.record({
        index: number,
        term: number,
        time: number,
        configuration: fc.record({ voters: fc.array(fc.string()) }),
        version: number,
        chunks: number,
        bytes: number,
      }),
      { nil: undefined },
    ),
    data: fc.uint8Array({ maxLength: 40 }),
  }),
  InstallSnapshotReply: fc.record({
    type: fc.constant("InstallSnapshotReply"),
    term: number,
    round: number,
    lastIncludedIndex: number,
    nextChunk: number,
    installed: flag,
  }),
};

const messages: fc.Arbitrary<Message[]> = fc.array(fc.oneof(...Object.values<fc.Arbitrary<Message>>(arbitraryOf)), {
  maxLength: 8,
});

function appendEntries(...data: string[]): AppendEntries {
  const bytes = packEntries(
    EntryKind.command,
    data.map((item) => new TextEncoder().encode(item)),
  );
  return {
    type: "AppendEntries",
    term: 3,
    prevLogIndex: 6,
    prevLogTerm: 2,
    leaderCommit: 5,
    round: 9,
    isQuiet: false,
    batches: [stampBatch(bytes, { firstIndex: 7, term: 3, time: 1 })],
  };
}

describe("frames", () => {
  test("give back the messages that were packed, in order", () => {
    fc.assert(
      fc.property(messages, (packed) => {
        expect(decodeFrames(encodeFrames(packed))).toEqual(packed);
      }),
    );
  });

  test("fill a buffer of their own to its last byte, so that it can be transferred", () => {
    fc.assert(
      fc.property(messages, (packed) => {
        const bytes = encodeFrames(packed);
        expect(bytes.byteOffset).toBe(0);
        expect(bytes.byteLength).toBe(bytes.buffer.byteLength);
      }),
    );
  });

  test("are told apart by type and place without a look inside", () => {
    fc.assert(
      fc.property(messages, (packed) => {
        const bytes = encodeFrames(packed);
        const types: MessageType[] = [];
        const parts: Message[] = [];
        let covered = 0;
        forEachFrame(bytes, (type, start, end) => {
          expect(start).toBe(covered);
          covered = end;
          types.push(type);
          parts.push(...decodeFrames(bytes.subarray(start, end)));
        });
        expect(covered).toBe(bytes.byteLength);
        expect(types).toEqual(packed.map(({ type }) => type));
        expect(parts).toEqual(packed);
      }),
    );
  });

  test("hold copies of the batches they are given", () => {
    const message = appendEntries("one", "two");
    const bytes = encodeFrames([message]);
    const before = [...bytes];
    for (const { bytes: original } of message.batches) original.fill(0xff);
    expect([...bytes]).toEqual(before);
  });

  test("are decoded without copying the batches", () => {
    const bytes = encodeFrames([appendEntries("one"), appendEntries("two")]);
    for (const message of decodeFrames(bytes)) {
      if (message.type !== "AppendEntries") throw new Error(`got ${message.type}`);
      for (const decoded of message.batches) expect(decoded.bytes.buffer).toBe(bytes.buffer);
    }
  });

  test("are decoded from the middle of a larger buffer too", () => {
    const packed = [appendEntries("one", "two")];
    const bytes = encodeFrames(packed);
    const larger = new Uint8Array(bytes.byteLength + 20);
    larger.set(bytes, 13);
    expect(decodeFrames(larger.subarray(13, 13 + bytes.byteLength))).toEqual(packed);
  });
});

describe("bytes that are no frames", () => {
  test("are refused when any part of them is missing", () => {
    const bytes = encodeFrames([appendEntries("one", "two"), { type: "RequestVoteReply", term: 1, voteGranted: true }]);
    const firstEnds = new DataView(bytes.buffer).getUint32(0, true);
    for (let length = 1; length < bytes.byteLength; length++) {
      if (length === firstEnds) continue;
      expect(() => decodeFrames(bytes.subarray(0, length))).toThrow(InvariantError);
    }
  });

  test("are refused when they name a type that there is not", () => {
    const bytes = encodeFrames([{ type: "PreVote", term: 1, lastLogIndex: 1, lastLogTerm: 0 }]);
    for (const code of [0, 11, 255]) {
      bytes[4] = code;
      expect(() => decodeFrames(bytes)).toThrow(`no message has the type ${code}`);
    }
  });

  test("are refused when a frame is longer or shorter than its type", () => {
    const bytes = new Uint8Array([...encodeFrames([{ type: "PreVote", term: 1, lastLogIndex: 1, lastLogTerm: 0 }]), 0]);
    for (const length of [0, 4, bytes.byteLength - 2, bytes.byteLength]) {
      new DataView(bytes.buffer).setUint32(0, length, true);
      expect(() => decodeFrames(bytes)).toThrow(InvariantError);
    }
  });

  test("are refused when a boolean is neither 0 nor 1", () => {
    const bytes = encodeFrames([{ type: "RequestVoteReply", term: 1, voteGranted: true }]);
    bytes[bytes.byteLength - 1] = 2;
    expect(() => decodeFrames(bytes)).toThrow("a boolean is 0 or 1, got 2");
  });

  test("cause an InvariantError or are decoded, whatever they are, and nothing else happens", () => {
    const spoiled = fc.tuple(
      messages,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
    );
    fc.assert(
      fc.property(spoiled, ([packed, flips]) => {
        const bytes = encodeFrames(packed);
        for (const [at, value] of flips) if (bytes.byteLength > 0) bytes[at % bytes.byteLength] = value;
        try {
          decodeFrames(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

test("exactly the messages that are not replies are requests", () => {
  for (const type of Object.keys(arbitraryOf) as MessageType[]) expect(isRequest(type)).toBe(!type.endsWith("Reply"));
});
