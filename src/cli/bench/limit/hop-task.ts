import { performance } from "node:perf_hooks";
import { ring, rings, sleep } from "../../../actors/bell.ts";
import { Mailbox } from "../../../actors/mailbox.ts";
import type { Port } from "../../../actors/task.ts";
import { Latencies } from "../latencies.ts";

/** One of two threads that send a message to and fro. */
export interface HopTask {
  readonly role: "ping" | "pong";
  /** How they wait: in the event loop, or on a bell as the peers do. */
  readonly way: "loop" | "bell";
  readonly port: Port;
  /** Two words: that of ping and that of pong. */
  readonly bells: SharedArrayBuffer;
  /** For which it is measured, after a warm-up of the same length. */
  readonly seconds: number;
}

export interface HopFigures {
  readonly rounds: number;
  /** Of a message and its answer, in ms. */
  readonly p50: number;
  readonly p99: number;
}

const LONG_MS = 1_000;

/** Sends, or answers, until the time is over; then ping sends an empty message. */
export default async function hop(task: HopTask): Promise<HopFigures> {
  const { role, port, seconds } = task;
  const latencies = new Latencies();
  const from = performance.now();
  let sentAt = from;
  let isOver = false;
  const send = (bytes: number) => {
    sentAt = performance.now();
    port.postMessage(new Uint8Array(bytes));
    if (task.way === "bell") ring(new Int32Array(task.bells), role === "ping" ? 1 : 0);
  };
  const receive = (message: unknown) => {
    if (role === "pong") {
      isOver = (message as Uint8Array).byteLength === 0;
      if (!isOver) send(64);
      return;
    }
    const now = performance.now();
    const isWarm = now - from > seconds * 1_000;
    if (isWarm) latencies.record(now - sentAt);
    isOver = now - from > seconds * 2_000;
    send(isOver ? 0 : 64);
  };
  if (role === "ping") send(64);
  if (task.way === "bell") ringing(task, receive, () => isOver);
  else await looping(port, receive, () => isOver);
  port.close();
  return { rounds: latencies.count, p50: latencies.quantile(0.5), p99: latencies.quantile(0.99) };
}

function ringing({ port, bells, role }: HopTask, receive: (message: unknown) => void, isOver: () => boolean): void {
  const words = new Int32Array(bells);
  const own = role === "ping" ? 0 : 1;
  const mailbox = new Mailbox([{ port, receive }]);
  while (!isOver()) {
    const heard = rings(words, own);
    mailbox.drain();
    if (!isOver()) sleep(words, own, heard, LONG_MS);
  }
}

function looping(port: Port, receive: (message: unknown) => void, isOver: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    port.on("message", (message) => {
      receive(message);
      if (isOver()) resolve();
    });
  });
}
