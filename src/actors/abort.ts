import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";

/** What is to be done when a signal comes, in the order in which it was asked for. */
const acts = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Has `act` called when the signal comes. However many wait for a signal, it gets one listener: Node prints a warning when
 * there are more than ten, and an app may well have one signal for all its calls.
 * @throws RaftError `ERR_INVALID_OPTION` when it is no signal.
 */
export function whenAborted(signal: AbortSignal | undefined, act: () => void): void {
  if (!signal) return;
  const known = acts.get(signal);
  if (known !== undefined) {
    known.add(act);
    return;
  }
  if (typeof signal.addEventListener !== "function") {
    throw new RaftError("ERR_INVALID_OPTION", `signal: expected an AbortSignal, got ${inspect(signal)}`);
  }
  acts.set(signal, new Set([act]));
  signal.addEventListener("abort", onAbort, { once: true });
}

/** Nobody waits for the signal with `act` any more. */
export function forgetAbort(signal: AbortSignal | undefined, act: () => void): void {
  if (!signal) return;
  const known = acts.get(signal);
  if (known?.delete(act) !== true || known.size > 0) return;
  acts.delete(signal);
  signal.removeEventListener("abort", onAbort);
}

/** One act may forget another, which is then left out. */
function onAbort(this: AbortSignal): void {
  for (const act of acts.get(this) ?? []) act();
}
