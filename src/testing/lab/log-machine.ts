import { inspect, isDeepStrictEqual } from "node:util";
import { decode, pack } from "../../machine/codec.ts";
import { joinRecords, readRecords } from "../../machine/records.ts";
import type { ApplyContext, StateMachine } from "../../machine/state-machine.ts";

/** A command, and where in the log it stands. */
export type Applied = readonly [index: number, command: unknown];

/** Its state is every command that it was given, so whatever a snapshot loses, repeats or mixes up is to be seen in it. */
export default class LogMachine implements StateMachine<unknown, undefined, undefined, readonly Applied[]> {
  #applied: Applied[] = [];

  apply(command: unknown, { index }: ApplyContext): undefined {
    this.#applied.push([index, command]);
    return undefined;
  }

  /** All of its state. */
  query(): readonly Applied[] {
    return this.#applied;
  }

  /** First the number of commands, then one record a command. */
  snapshot(): Iterable<Uint8Array> {
    const applied = this.#applied.slice();
    function* records(): Generator<Uint8Array> {
      yield pack(applied.length);
      for (const one of applied) yield pack(one);
    }
    return joinRecords(records());
  }

  /** @throws Error unless these are all the commands of a snapshot in their order, and begin with those that are here. */
  restore(chunks: Iterable<Uint8Array>): void {
    const [count, ...applied] = [...readRecords(chunks)].map(decode) as [number, ...Applied[]];
    if (count !== applied.length) {
      throw new Error(`a snapshot of ${inspect(count)} commands that holds ${applied.length}`);
    }
    for (const [at, [index]] of applied.entries()) {
      const before = applied[at - 1]?.[0] ?? 0;
      if (!(index > before))
        throw new Error(`a snapshot with the command at ${inspect(index)} behind that at ${before}`);
    }
    for (const [at, one] of this.#applied.entries()) {
      if (isDeepStrictEqual(applied[at], one)) continue;
      throw new Error(`a snapshot with ${inspect(applied[at])} in the place of ${inspect(one)}`);
    }
    this.#applied = applied;
  }
}
