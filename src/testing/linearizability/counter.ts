import { type Model, UNKNOWN } from "./model.ts";

/** What can be done to a counter. */
export type CounterInput = { readonly op: "add"; readonly by: number } | { readonly op: "get" };

/**
 * One counter, 0 at first. A `get` gives its value; so does an `add`, the value after it, when an output was recorded.
 */
export const counterModel: Model<number, CounterInput, number | undefined> = {
  name: "counter",
  init: () => 0,
  step(state, input, output) {
    const next = input.op === "add" ? state + input.by : state;
    if (output === UNKNOWN) return next;
    const isSilent = input.op === "add" && output === undefined;
    return isSilent || output === next ? next : undefined;
  },
  stateKey: String,
  describe(input, output) {
    const text = input.op === "add" ? `add ${input.by}` : "get";
    return output === UNKNOWN || output === undefined ? text : `${text} → ${output}`;
  },
};
