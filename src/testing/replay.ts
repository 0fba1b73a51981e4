import { inspect } from "node:util";
import {
  Digests,
  type RaftRecord,
  type RecordedCall,
  type RecordedMessage,
  type RecordedStep,
} from "../actors/record.ts";
import { RecordedRaft } from "../actors/recorded-raft.ts";
import { parseBatch } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { type Difference, findDifference } from "./difference.ts";
import { MemoryRecord } from "./memory-record.ts";
import { ReplayError } from "./replay-error.ts";
import { ReplayedSurroundings } from "./replayed-surroundings.ts";

/**
 * Hands all that a record says a peer was given to the algorithm as it is now, and compares what comes out, step by step:
 * effects, state, what it throws, and what it asks for.
 * @throws ReplayError at the first step that comes out otherwise than recorded.
 */
export function replay(record: RaftRecord): void {
  const { start, steps } = record;
  const digests = new Digests();
  const surroundings = new ReplayedSurroundings(digests);
  const sink = new MemoryRecord();
  surroundings.answer(start.asked);
  const raft = orReplayError(-1, "the start", () => {
    const options = { ...start.options, random: surroundings.random };
    return new RecordedRaft(options, start.stored, surroundings, { now: () => start.now }, { sink, digests });
  });
  compare(-1, "the start", start, sink.record.start);
  steps.forEach((step, at) => {
    const name = describeCall(step.call);
    surroundings.answer(step.asked);
    let thrown: unknown;
    try {
      call(raft, step.call, digests);
    } catch (error) {
      thrown = error;
    }
    const replayed = sink.takeStep();
    if (replayed === undefined) throw new ReplayError(at, name, `it cannot be handed in: ${String(thrown)}`);
    // What was thrown says more than what it has left undone.
    compare(at, name, step.threw, replayed.threw);
    compare(at, name, step, replayed);
  });
}

function compare(at: number, name: string, expected: unknown, actual: unknown): void {
  const found = findDifference(expected, actual);
  if (found !== undefined) throw new ReplayError(at, name, describeDifference(found));
}

function orReplayError<Value>(at: number, name: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw new ReplayError(at, name, String(error));
  }
}

function call(raft: RecordedRaft, recorded: RecordedCall, digests: Digests): void {
  switch (recorded.kind) {
    case "step":
      raft.step(recorded.from, recorded.incarnation, messageOf(recorded.message, digests), recorded.now);
      break;
    case "propose":
      raft.propose(recorded.packed.slice(), recorded.time);
      break;
    case "read":
      raft.read(recorded.id);
      break;
    case "leaseIndex":
      raft.leaseIndex(recorded.now);
      break;
    case "stageChunk":
      raft.stageChunk(recorded.number, digests.standIn(recorded.data));
      break;
    case "completeSnapshot":
      raft.completeSnapshot(recorded.info, recorded.now);
      break;
    case "advance":
      raft.advance(recorded.now);
      break;
    case "saved":
      raft.saved(recorded.now);
      break;
    case "peerDied":
      raft.peerDied(recorded.peer, recorded.incarnation, recorded.now);
      break;
    case "unreachable":
      raft.unreachable(recorded.peer);
      break;
    case "effects":
      raft.effects();
      break;
    default:
      recorded satisfies never;
  }
}

/** The message as it was: entries whole, the algorithm writes into them; of a chunk something that stands for it. */
function messageOf(message: RecordedMessage, digests: Digests): Message {
  switch (message.type) {
    case "AppendEntries":
      return {
        ...message,
        batches: message.batches.map(({ bytes, firstIndex }) => {
          if (bytes === undefined)
            throw new TypeError(`the record lacks the bytes of the entries from ${firstIndex} on`);
          return parseBatch(bytes.slice());
        }),
      };
    case "InstallSnapshot":
      return { ...message, data: digests.standIn(message.data) };
    default:
      return message;
  }
}

function describeCall(call: RecordedStep["call"]): string {
  return call.kind === "step" ? `${call.message.type} from ${call.from}` : call.kind;
}

function describeDifference({ path, expected, actual }: Difference): string {
  const show = (value: unknown) => inspect(value, { depth: 3, breakLength: Number.POSITIVE_INFINITY });
  return `${path === "" ? "what it threw" : path.slice(1)} was ${show(expected)}, and is ${show(actual)}`;
}
