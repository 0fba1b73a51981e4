import fc from "fast-check";
import { expect, it } from "vitest";
import { AsyncQueue } from "../../src/actors/async-queue.ts";

async function rest<Value>(queue: AsyncQueue<Value>): Promise<Value[]> {
  queue.end();
  const values: Value[] = [];
  for await (const value of queue) values.push(value);
  return values;
}

it("keeps the latest values up to its limit, and counts those that it dropped", async () => {
  const queue = new AsyncQueue<number>(() => {}, 3);
  const dropped = [1, 2, 3, 4, 5].map((value) => queue.push(value));
  expect(dropped).toEqual([0, 0, 0, 1, 1]);
  expect(queue.dropped).toBe(2);
  expect(await rest(queue)).toEqual([3, 4, 5]);
});

it("drops nothing for a reader that waits already, however many values come at once", async () => {
  const queue = new AsyncQueue<number>(() => {}, 1);
  const pulled = [queue.next(), queue.next(), queue.next()];
  for (const value of [1, 2, 3]) queue.push(value);
  expect(await Promise.all(pulled)).toEqual([1, 2, 3].map((value) => ({ done: false, value })));
  expect(queue.dropped).toBe(0);
});

it("hands out every value once and in order, without a limit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("push", "pull")), async (steps) => {
      const queue = new AsyncQueue<number>(() => {});
      const pulled: Promise<IteratorResult<number, undefined>>[] = [];
      let pushed = 0;
      for (const step of steps) {
        if (step === "push") queue.push(pushed++);
        else pulled.push(queue.next());
      }
      const left = await rest(queue);
      const before = (await Promise.all(pulled)).filter(({ done }) => !done).map(({ value }) => value);
      expect([...before, ...left]).toEqual(Array.from({ length: pushed }, (_, at) => at));
    }),
  );
});
