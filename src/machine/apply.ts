import { inspect } from "node:util";
import type { Outcome, RaftErrorCode } from "../raft/errors.ts";
import type { EncodedMachine, PreparingMachine } from "./offers.ts";
import type { ApplyContext, StateMachine } from "./state-machine.ts";

/** What user code threw, as plain data. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  /** Only of an error that tells of a mistake in the machine, such as a TypeError. */
  readonly stack?: string;
  /** The machine was not asked: the command's session refused it. */
  readonly refusal?: { readonly code: RaftErrorCode; readonly outcome: Outcome };
}

/** What a command or query came to: its result, or what was thrown in its place. */
export type Applied =
  | { readonly result: unknown; readonly threw: undefined }
  | { readonly result: undefined; readonly threw: Thrown };

/** The longest message or stack that is passed on, in characters. */
const MAX_TEXT = 8_192;

/** Carries out a command; whatever the machine does, this returns. */
export function applyCommand(machine: Pick<StateMachine, "apply">, command: unknown, context: ApplyContext): Applied {
  try {
    const result = machine.apply(command, context);
    return isObject(result) ? settled(result, "apply") : { result, threw: undefined };
  } catch (error) {
    return { result: undefined, threw: toThrown(error) };
  }
}

/** Carries out a command from its bytes; whatever the machine does, this returns. @returns undefined: it does not take it. */
export function applyEncoded(
  machine: EncodedMachine,
  bytes: Uint8Array,
  start: number,
  end: number,
  context: ApplyContext,
): Applied | undefined {
  try {
    const result = machine.applyEncoded(bytes, start, end, context);
    if (result === undefined) return undefined;
    return isObject(result) ? settled(result, "applyEncoded") : { result, threw: undefined };
  } catch (error) {
    return { result: undefined, threw: toThrown(error) };
  }
}

/** Answers a query; whatever the machine does, this returns. */
export function answerQuery(machine: Pick<StateMachine, "query">, query: unknown): Applied {
  try {
    const result = machine.query(query);
    return isObject(result) ? settled(result, "query") : { result, threw: undefined };
  } catch (error) {
    return { result: undefined, threw: toThrown(error) };
  }
}

/** What is to be done before a query; whatever the machine does, this returns. */
export function prepareQuery(machine: PreparingMachine, query: unknown): Iterator<unknown> | undefined {
  try {
    return machine.prepareQuery(query);
  } catch {
    // The query will tell.
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function settled(result: object, method: "apply" | "applyEncoded" | "query"): Applied {
  if (typeof (result as { then?: unknown }).then !== "function") return { result, threw: undefined };
  // Its rejection was for the caller, who hears of another error; left alone it would take the thread down.
  Promise.resolve(result).catch(() => undefined);
  const message = `${method} of the state machine returned a promise: it must be synchronous`;
  return { result: undefined, threw: { name: "TypeError", message } };
}

/** Errors of the language: a mistake in the code, where one wants to know the place. */
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError];

function toThrown(error: unknown): Thrown {
  try {
    if (!(error instanceof Error)) return { name: "Error", message: inspect(error).slice(0, MAX_TEXT) };
    const name = String(error.name);
    const message = String(error.message).slice(0, MAX_TEXT);
    // A refusal is a result like another, and writing out a stack costs far more than a command.
    if (!MISTAKES.some((mistake) => error.constructor === mistake)) return { name, message };
    return { name, message, stack: String(error.stack).slice(0, MAX_TEXT) };
  } catch {
    return { name: "Error", message: "something that cannot be read" };
  }
}
