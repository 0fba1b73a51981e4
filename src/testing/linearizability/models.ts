import { counterModel } from "./counter.ts";
import { keyValueModel } from "./key-value.ts";
import type { Model } from "./model.ts";
import { registerModel } from "./register.ts";

const MODELS: readonly object[] = [keyValueModel, registerModel, counterModel];

/** Whether this very model ships with flotilla, so that another thread knows it by its name. */
export function isBuiltIn(model: Model<never, never, never>): boolean {
  return MODELS.includes(model);
}

/** The model of this name that ships with flotilla. */
export function modelNamed(name: string): Model<unknown, unknown, unknown> {
  const found = (MODELS as readonly Model<unknown, unknown, unknown>[]).find((model) => model.name === name);
  if (found === undefined) throw new Error(`there is no model "${name}"`);
  return found;
}
