import type { KeyValueInput } from "./key-value.ts";
import { keyValueModel } from "./key-value.ts";
import type { Model } from "./model.ts";

/** What can be done to a register. */
export type RegisterInput =
  | { readonly op: "read" }
  | { readonly op: "write"; readonly value: unknown }
  /** Writes `value` if `expected` is there. */
  | { readonly op: "cas"; readonly expected: unknown; readonly value: unknown };

/** What a register may answer: to a `read` the value, to a `cas` `{ swapped: boolean }`. */
export type RegisterOutput = unknown;

/** One register, null at first. Values are plain data; null cannot be written. */
export const registerModel: Model<unknown, RegisterInput, RegisterOutput> = {
  ...asRegister(keyValueModel),
  narrow: (operations) => {
    const narrow = keyValueModel.narrow?.(operations.map(({ input, output }) => ({ input: asCommand(input), output })));
    const effectKey = narrow?.effectKey;
    return {
      ...asRegister(narrow ?? keyValueModel),
      ...(effectKey === undefined ? {} : { effectKey: (input) => effectKey(asCommand(input)) }),
    };
  },
};

/** A key-value map has a register for each key. */
function asRegister(
  model: Model<unknown, KeyValueInput, unknown>,
): Pick<Model<unknown, RegisterInput, RegisterOutput>, "name" | "init" | "step" | "stateKey" | "describe"> {
  return {
    name: "register",
    init: model.init,
    step: (state, input, output) => model.step(state, asCommand(input), output),
    stateKey: (state) => model.stateKey?.(state) ?? "",
    describe: (input, output) =>
      (model.describe?.(asCommand(input), output) ?? "")
        .replace(/^get/, "read")
        .replace(/^put/, "write")
        .replace(" register", ""),
  };
}

function asCommand(input: RegisterInput): KeyValueInput {
  switch (input.op) {
    case "read":
      return { op: "get", key: "register" };
    case "write":
      return { op: "put", key: "register", value: input.value };
    default:
      return { ...input, key: "register" };
  }
}
