import { inspect } from "node:util";
import { decode, pack } from "../../machine/codec.ts";
import type { StateMachine } from "../../machine/state-machine.ts";

/** What a {@link CounterMachine} can be told. */
export type CounterCommand = "increment" | "decrement";

/** The lab's machine for tests of what lies between Raft and a service: a command that is done twice shows at once. */
export default class CounterMachine implements StateMachine<CounterCommand, number, undefined, number> {
  #value = 0;

  /** Returns the value that is there now. */
  apply(command: CounterCommand): number {
    if (command !== "increment" && command !== "decrement") {
      throw new Error(`expected increment or decrement, got ${inspect(command)}`);
    }
    this.#value += command === "increment" ? 1 : -1;
    return this.#value;
  }

  query(): number {
    return this.#value;
  }

  snapshot(): Uint8Array {
    return pack(this.#value);
  }

  restore(chunks: Iterable<Uint8Array>): void {
    this.#value = decode(Buffer.concat([...chunks])) as number;
  }
}
