import { MessageChannel } from "node:worker_threads";
import { expect, it, onTestFinished } from "vitest";
import { Mailbox } from "../../src/actors/mailbox.ts";

/** A mailbox of two ports that keeps what it hands over, and their other ends. */
function setUp() {
  const [first, second] = [new MessageChannel(), new MessageChannel()];
  const log: unknown[] = [];
  const mailbox = new Mailbox([
    { port: first.port1, receive: (message) => log.push(message) },
    { port: second.port1, receive: (message) => log.push(message) },
  ]);
  onTestFinished(() => {
    first.port1.close();
    second.port1.close();
  });
  return { mailbox, log, first: first.port2, second: second.port2 };
}

it("hands over all mail that waits on any port, each port's in order", () => {
  const { mailbox, log, first, second } = setUp();
  for (let at = 0; at < 3; at++) {
    second.postMessage(`b${at}`);
    first.postMessage(`a${at}`);
  }
  expect(mailbox.drain()).toBe(true);
  expect(log).toEqual(["a0", "a1", "a2", "b0", "b1", "b2"]);
});

it("leaves the rest for the next time when what came has brought very much along", () => {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  const log: unknown[] = [];
  const weigh = (message: unknown) => (message as number) << 20;
  const mailbox = new Mailbox([{ port: port1, receive: (message) => log.push(message), weigh }]);
  for (const mebibytes of [1, 3, 5, 20, 1]) port2.postMessage(mebibytes);
  expect([mailbox.drain(), ...log]).toEqual([false, 1, 3, 5]);
  expect([mailbox.drain(), ...log]).toEqual([false, 1, 3, 5, 20]);
  expect([mailbox.drain(), ...log]).toEqual([true, 1, 3, 5, 20, 1]);
});

it("leaves some of a flood for the next time, says so, and loses none of it", () => {
  const { mailbox, log, first } = setUp();
  const count = 20_000;
  for (let at = 0; at < count; at++) first.postMessage(at);
  expect(mailbox.drain()).toBe(false);
  expect(log.length).toBeLessThan(count);
  let isEmpty = false;
  while (!isEmpty) isEmpty = mailbox.drain();
  expect(log).toEqual(Array.from({ length: count }, (_, at) => at));
});
