import type { StateMachine } from "./state-machine.ts";

/** A machine that takes commands as bytes. */
export type EncodedMachine = Required<Pick<StateMachine, "applyEncoded">>;

/** A machine that takes snapshots in chunk by chunk. */
export type GradualMachine = Required<Pick<StateMachine, "beginRestore">>;

/** A machine that has work to do before some queries. */
export type PreparingMachine = Required<Pick<StateMachine, "prepareQuery">>;

/** Whether the machine takes commands as bytes, and comes to the same by that as by `apply`. */
export function takesEncoded(machine: object): machine is EncodedMachine {
  return offers(machine, "applyEncoded", "apply");
}

/** Whether the machine takes snapshots in chunk by chunk, and comes to the same by that as by `restore`. */
export function restoresGradually(machine: object): machine is GradualMachine {
  return offers(machine, "beginRestore", "restore");
}

/** Whether the machine may have work to do before a query, and has it for its own `query`. */
export function preparesQueries(machine: object): machine is PreparingMachine {
  return offers(machine, "prepareQuery", "query");
}

/**
 * Whether the machine has a method that goes with what `plain` does. One whose `plain` was overridden, and this method
 * was not, does not have it: it would not come to the same any more.
 */
function offers<Method extends keyof StateMachine>(
  machine: object,
  method: Method,
  plain: keyof StateMachine,
): boolean {
  for (let owner: object | null = machine; owner !== null; owner = Object.getPrototypeOf(owner)) {
    if (Object.hasOwn(owner, method)) return typeof (machine as Partial<StateMachine>)[method] === "function";
    if (Object.hasOwn(owner, plain)) return false;
  }
  return false;
}
