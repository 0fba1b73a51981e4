import { inspect } from "node:util";
import { type KeyValueWrite, MAX_KEY_BYTES, type VersionCheck } from "../machine/key-value-types.ts";
import { RaftError } from "../raft/errors.ts";

// What a client is given by people who may have no types to hold them to it: refused before anything is sent.

/** @throws RaftError `ERR_INVALID_COMMAND`, as all of these do */
export function checkKey(key: unknown): string {
  if (typeof key !== "string" || key === "") throw invalid("key", "a string of at least one character", key);
  const bytes = Buffer.byteLength(key);
  if (bytes <= MAX_KEY_BYTES) return key;
  const message = `key: expected at most ${MAX_KEY_BYTES} bytes, got ${bytes}: ${inspect(key.slice(0, 40))}...`;
  throw new RaftError("ERR_INVALID_COMMAND", message);
}

export function checkValue(value: unknown): unknown {
  if (value !== undefined) return value;
  throw new RaftError("ERR_INVALID_COMMAND", "value: expected anything but undefined, which means absent");
}

/** What `append` adds. */
export function checkText(value: unknown): string {
  if (typeof value === "string") return value;
  throw invalid("value", "a string to append", value);
}

export function checkVersion(version: unknown): void {
  if (Number.isInteger(version) && (version as number) >= 0) return;
  throw invalid("version", "a whole number, 0 for an absent key", version);
}

/** The commands of a transaction. */
export function checkWrites(commands: unknown): void {
  if (!Array.isArray(commands)) throw invalid("commands", "an array", commands);
  for (const command of commands) checkWrite(command);
}

/** The conditions of a transaction. */
export function checkChecks(checks: unknown): void {
  if (!Array.isArray(checks)) throw invalid("checks", "an array", checks);
  for (const check of checks) {
    const { key, version } = fieldsOf<VersionCheck>(check, "checks");
    checkKey(key);
    checkVersion(version);
  }
}

function checkWrite(command: unknown): void {
  const write = fieldsOf<KeyValueWrite>(command, "commands");
  checkKey(write.key);
  switch (write.op) {
    case "get":
    case "delete":
      return;
    case "set":
      if (write.version !== undefined) checkVersion(write.version);
      checkValue(write.value);
      return;
    case "put":
      checkValue(write.value);
      return;
    case "append":
      checkText(write.value);
      return;
    case "cas":
      if (!("expected" in write)) {
        const message = "cas: expected: not given; give undefined for an absent key";
        throw new RaftError("ERR_INVALID_COMMAND", message);
      }
      checkValue(write.value);
      return;
    default:
      throw invalid("op", "put, set, get, append, delete or cas", (write as { op?: unknown }).op);
  }
}

function fieldsOf<Fields>(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null) return value as Fields;
  throw invalid(what, "objects", value);
}

function invalid(what: string, expected: string, value: unknown): RaftError {
  return new RaftError("ERR_INVALID_COMMAND", `${what}: expected ${expected}, got ${inspect(value)}`);
}
