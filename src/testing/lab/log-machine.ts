import type { StateMachine } from "../../machine/state-machine.ts";

/** Takes any command and keeps nothing: the scenarios look at the log itself. */
export default class LogMachine implements StateMachine {
  apply(): undefined {
    return undefined;
  }

  query(): undefined {
    return undefined;
  }

  snapshot(): Uint8Array {
    return new Uint8Array();
  }

  restore(): void {}
}
