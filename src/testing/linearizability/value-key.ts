import { RaftError } from "../../raft/errors.ts";

/**
 * A text that two values share exactly when they are the same by structure, as `isDeepStrictEqual` has it: plain data,
 * bigints, dates and bytes.
 * @throws RaftError `ERR_INVALID_HISTORY` for a value that is none of these.
 */
export function valueKey(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "boolean":
    case "undefined":
      return String(value);
    case "object":
      return value === null ? "null" : objectKey(value);
    default:
      throw new RaftError("ERR_INVALID_HISTORY", `expected plain data, got a ${typeof value}`);
  }
}

function objectKey(value: object): string {
  if (Array.isArray(value)) return `[${value.map(valueKey).join()}]`;
  if (value instanceof Date) return `date ${value.getTime()}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  const prototype: unknown = Object.getPrototypeOf(value);
  // The last is Object.prototype of another realm.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    const { name } = value.constructor;
    throw new RaftError("ERR_INVALID_HISTORY", `expected plain data, got a ${name}; give the model a stateKey`);
  }
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${valueKey(field)}`);
  return `{${fields.sort().join()}}`;
}
