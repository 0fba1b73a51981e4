import { MessageChannel } from "node:worker_threads";
import { expect, it, onTestFinished } from "vitest";
import { Mailbox } from "../../src/actors/mailbox.ts";

/** A mailbox of two ports that keeps what it hands over, and their other ends. */
function setUp() {
  const [first, second] = [new MessageChannel(), new MessageChannel()];
  const log: unknown[] = [];
  const mailbox = new Mailbox(
    [
      { port: first.port1, receive: (message) => log.push(message) },
      { port: second.port1, receive: (message) => log.push(message) },
    ],
    () => log.push("turn"),
  );
  onTestFinished(() => mailbox.close());
  return { mailbox, log, first: first.port2, second: second.port2 };
}

const untilTurns = (log: unknown[], count: number) =>
  expect.poll(() => log.filter((entry) => entry === "turn").length, { interval: 1 }).toBeGreaterThanOrEqual(count);

it("hands over all mail that waits on any port in one turn, each port's in order", async () => {
  const { log, first, second } = setUp();
  for (let at = 0; at < 3; at++) {
    second.postMessage(`b${at}`);
    first.postMessage(`a${at}`);
  }
  await untilTurns(log, 1);
  const [turn] = log.splice(log.indexOf("turn"), 1);
  expect(turn).toBe("turn");
  expect(log).toHaveLength(6);
  expect(log.filter((message) => String(message).startsWith("a"))).toEqual(["a0", "a1", "a2"]);
  expect(log.filter((message) => String(message).startsWith("b"))).toEqual(["b0", "b1", "b2"]);
});

it("hands over what waits when it is asked, without a turn of its own", () => {
  const { mailbox, log, first, second } = setUp();
  second.postMessage("b");
  first.postMessage("a");
  mailbox.drain();
  expect(log).toEqual(["a", "b"]);
});

it("takes a turn now and then however much mail there is, and loses none of it", async () => {
  const { log, first } = setUp();
  const count = 20_000;
  for (let at = 0; at < count; at++) first.postMessage(at);
  await untilTurns(log, 2);
  await expect.poll(() => log.filter((entry) => entry !== "turn").length).toBe(count);
  expect(log.filter((entry) => entry !== "turn")).toEqual(Array.from({ length: count }, (_, at) => at));
  expect(log.indexOf("turn")).toBeLessThan(count);
});

it("takes no more once it is closed", async () => {
  const { mailbox, log, first } = setUp();
  mailbox.close();
  first.postMessage("late");
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(log).toEqual([]);
});
