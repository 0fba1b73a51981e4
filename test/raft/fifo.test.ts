import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fifo } from "../../src/raft/fifo.ts";

describe("a queue", () => {
  it("is what an array would be, whatever comes and goes", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ shift: fc.integer({ min: 1, max: 120 }) }),
      fc.record({ keepModulo: fc.integer({ min: 2, max: 5 }) }),
      fc.constant({ clear: true }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const queue = new Fifo<number>();
        let twin: number[] = [];
        let next = 0;
        for (const step of steps) {
          if ("push" in step) {
            for (let count = 0; count < step.push; count++) {
              queue.push(next);
              twin.push(next++);
            }
          } else if ("shift" in step) {
            for (let count = 0; count < step.shift; count++) expect(queue.shift()).toBe(twin.shift());
          } else if ("keepModulo" in step) {
            queue.keep((item) => item % step.keepModulo !== 0);
            twin = twin.filter((item) => item % step.keepModulo !== 0);
          } else {
            queue.clear();
            twin = [];
          }
          expect([queue.length, queue.first, queue.last]).toEqual([twin.length, twin[0], twin.at(-1)]);
          expect([...queue]).toEqual(twin);
          for (const at of [-1, 0, 1, twin.length - 1, twin.length]) expect(queue.at(at)).toBe(twin[at]);
        }
      }),
    );
  });

  it("gives away very many items, each without a look at those behind it", () => {
    const queue = new Fifo<number>();
    for (let item = 0; item < 1_000_000; item++) queue.push(item);
    let sum = 0;
    // An array would take minutes for it.
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) sum += item;
    expect(sum).toBe((1_000_000 * 999_999) / 2);
  });
});
