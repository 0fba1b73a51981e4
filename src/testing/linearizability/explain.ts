import type { Operation } from "../history.ts";
import { inspectShort } from "../inspect-short.ts";
import type { Violation } from "./check.ts";
import { type Model, UNKNOWN } from "./model.ts";

/** So many operations of an order are told; those before them seldom say more. */
const TOLD = 8;

/** An operation in words. */
export function describeOperation<Input, Output>(
  { input, output, outcome }: Operation<Input, Output>,
  model: Model<never, Input, Output>,
): string {
  const told = model.describe?.(input, outcome === "ok" ? (output as Output) : UNKNOWN);
  if (told !== undefined) return told;
  const isAnswered = outcome === "ok" && output !== undefined;
  return isAnswered ? `${inspectShort(input)} → ${inspectShort(output)}` : inspectShort(input);
}

/** Says in a few lines why a partition's history is illegal. */
export function explain<State, Input, Output>(
  violation: Violation<Input, Output>,
  model: Model<State, Input, Output>,
): string {
  const { partition, culprit, completed, order, state, prefix, isShortest } = violation;
  const tell = (operation: Operation<Input, Output>) =>
    `  client ${operation.client}: ${describeOperation(operation, model as Model<never, Input, Output>)}, ${span(operation, end)}`;
  const told = order.slice(-TOLD);
  const done = new Set(order);
  const open = prefix.filter((operation) => operation !== culprit && !done.has(operation));
  const end = culprit.return ?? culprit.call;
  return [
    `${partition === undefined ? "" : `${partition}: `}no order explains the first ${completed} answers` +
      `${isShortest ? "" : " (fewer may do)"}. Without the last of them all is well:`,
    tell(culprit),
    told.length === 0
      ? `No operation is possible at first, in the state ${state}.`
      : `The longest order that was found ends with${told.length < order.length ? ` (${order.length - told.length} before)` : ""}`,
    ...told.map(tell),
    ...(told.length === 0
      ? []
      : [`and leaves the state ${state}.${open.length === 0 ? "" : " Nothing was found that fits in"}`]),
    ...open.slice(0, TOLD).map(tell),
    ...(open.length > TOLD ? [`  and ${open.length - TOLD} more`] : []),
    "",
  ].join("\n");
}

function span({ call, return: end, outcome }: Operation<unknown, unknown>, now: number): string {
  if (outcome !== "ok" || end === undefined) return `from ${call} ns, outcome unknown`;
  return end > now ? `from ${call} ns, not returned yet` : `${call} to ${end} ns`;
}
