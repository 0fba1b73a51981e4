import { inspect } from "node:util";

/** A value for an error message: on one line, and not much of it. */
export function inspectShort(value: unknown): string {
  return inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60, maxArrayLength: 10 });
}
