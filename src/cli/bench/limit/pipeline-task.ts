import { ring, rings, sleep } from "../../../actors/bell.ts";
import { Mailbox } from "../../../actors/mailbox.ts";
import { type Batch, parseBatches, stampBatch } from "../../../raft/entry.ts";
import { noGate } from "../../../storage/gate.ts";
import { openJournaled } from "../../../storage/journaled.ts";
import { prepareFolder } from "../../../storage/lmdb-file.ts";
import { openEnvironment } from "../../../storage/lmdb-records.ts";
import type { Records } from "../../../storage/records.ts";
import type { PipelineMessage, PipelineReply, PipelineRequest, PipelineTask } from "./pipeline-protocol.ts";

type PeerTask = Extract<PipelineTask, { role: "leader" | "follower" }>;

const LONG_MS = 1_000;

/**
 * A thread of the bare pipeline: what a cluster does to its commands without all that makes it Raft. Nothing is checked,
 * elected, applied or kept in memory: packed messages go to the followers, all peers write them to their disks, and what a
 * majority has is counted back to the client.
 */
export default async function pipeline(task: PipelineTask): Promise<void> {
  if (task.role === "router") return route(task);
  prepareFolder(task.path);
  const open = task.writes === "journal" ? openJournaled : openEnvironment;
  const records = await open({ path: task.path, durability: task.durability, gate: noGate });
  try {
    if (task.role === "leader") lead(task, records);
    else follow(task, records);
  } finally {
    await records.close();
    task.router.close();
    task.client?.close();
  }
}

/** Ends when all peers have ended. */
function route({ ports, bells }: Extract<PipelineTask, { role: "router" }>): Promise<void> {
  const words = new Int32Array(bells);
  let open = ports.length;
  return new Promise((resolve) => {
    for (const port of ports) {
      port.on("message", (message: PipelineMessage) => {
        ports[message.to]?.postMessage(message, transferOf(message));
        ring(words, message.to);
      });
      port.on("close", () => {
        if (--open === 0) resolve();
      });
    }
  });
}

function transferOf(message: PipelineMessage): ArrayBuffer[] {
  return message.kind === "entries" ? [message.batches.buffer as ArrayBuffer] : [];
}

function isOver(words: Int32Array): boolean {
  return Atomics.load(words, words.length - 1) !== 0;
}

function lead({ position, peers, router, client, bells }: PeerTask, records: Records): void {
  const words = new Int32Array(bells);
  const matchIndex = new Array<number>(peers).fill(0);
  let lastIndex = 0;
  let committed = 0;
  let drained: Batch[] = [];
  const send = (message: PipelineMessage) => router.postMessage(message, transferOf(message));
  const reply = (message: PipelineReply) => client?.postMessage(message);
  const slots = [
    {
      port: router,
      receive: (message: unknown) => {
        const ack = message as Extract<PipelineMessage, { kind: "ack" }>;
        if (ack.kind === "ack") matchIndex[ack.from] = ack.lastIndex;
      },
    },
  ];
  if (client !== undefined) {
    slots.push({
      port: client,
      receive: (message) => {
        const { packed } = message as PipelineRequest;
        const batch = stampBatch(packed, { firstIndex: lastIndex + 1, term: 1, time: 0 });
        lastIndex = batch.lastIndex;
        drained.push(batch);
      },
    });
  }
  const mailbox = new Mailbox(slots);
  reply("ready");
  while (!isOver(words)) {
    const heard = rings(words, position);
    mailbox.drain();
    if (drained.length > 0) {
      for (let to = 1; to < peers; to++) send({ kind: "entries", to, lastIndex, batches: joined(drained) });
      write(records, drained);
      drained = [];
      matchIndex[0] = lastIndex;
    }
    // What a majority has: of the sorted indices the one in the middle, the lower of two.
    const majority = [...matchIndex].sort((a, b) => b - a)[peers >> 1] ?? 0;
    if (majority > committed) {
      reply(majority - committed);
      committed = majority;
    } else sleep(words, position, heard, LONG_MS);
  }
}

function follow({ position, router, bells }: PeerTask, records: Records): void {
  const words = new Int32Array(bells);
  let drained: Batch[] = [];
  let lastIndex = 0;
  const receive = (mail: unknown) => {
    const message = mail as PipelineMessage;
    if (message.kind !== "entries") return;
    lastIndex = message.lastIndex;
    drained.push(...parseBatches(message.batches));
  };
  const mailbox = new Mailbox([{ port: router, receive }]);
  while (!isOver(words)) {
    const heard = rings(words, position);
    mailbox.drain();
    if (drained.length > 0) {
      write(records, drained);
      drained = [];
      router.postMessage({ kind: "ack", to: 0, from: position, lastIndex } satisfies PipelineMessage);
    } else sleep(words, position, heard, LONG_MS);
  }
}

/** In one write. */
function write(records: Records, batches: readonly Batch[]): void {
  records.commit(
    batches.map(({ firstIndex, bytes }) => ({ table: "log", key: firstIndex, value: bytes, append: true })),
  );
}

/** A copy, since each message takes its bytes along. */
function joined(batches: readonly Batch[]): Uint8Array {
  const bytes = new Uint8Array(batches.reduce((sum, batch) => sum + batch.bytes.byteLength, 0));
  let offset = 0;
  for (const batch of batches) {
    bytes.set(batch.bytes, offset);
    offset += batch.bytes.byteLength;
  }
  return bytes;
}
