import type { KeyValueWrite } from "../../machine/key-value-types.ts";
import { RaftError } from "../../raft/errors.ts";
import { inspectShort } from "../inspect-short.ts";
import { type Model, type ModelOperation, type NarrowModel, type OrUnknown, UNKNOWN } from "./model.ts";
import { valueKey } from "./value-key.ts";

/** What may be done to one key: a command of the map, or a read of its value, or of its value and version. */
export type KeyValueInput = KeyValueWrite | { readonly op: "entry"; readonly key: string };

/**
 * What an operation on a key may come to. Of a `get` the value, null or undefined for an absent key; of an `entry` value
 * and version, null or undefined likewise. Of a `cas` whether it was `swapped`, and, if that is known, which other `value`
 * was there instead; of a `set` whether it was `ok`, and, if that is known, the `version` that the key has then. What a
 * `put`, `append` or `delete` comes to is not looked at.
 */
export type KeyValueOutput = unknown;

type Operation = ModelOperation<KeyValueInput, KeyValueOutput>;

/** What is at a key. */
interface Cell {
  /** Null: the key is absent. */
  readonly value: unknown;
  /** How often it was written since it was made; 0: it is absent. */
  readonly version: number;
}

const ABSENT: Cell = { version: 0, value: null };

/**
 * The key-value map that ships with flotilla, key by key. Null stands for an absent key, as in JSON; so no value is
 * null. As in the map, an append to an absent key makes it, and one to anything but a string changes nothing and is no
 * success; a `set` with a version that the key has not changes nothing; and a key that was deleted begins again.
 */
export const keyValueModel: Model<Cell, KeyValueInput, KeyValueOutput> = {
  name: "key-value",
  init: () => ABSENT,
  step: (cell, input, output) => stepCell(cell, input, output, Number.POSITIVE_INFINITY),
  partition: ({ key }) => key,
  stateKey: cellKey,
  describe: describeKeyValue,
  narrow: narrowKeyValue,
};

function cellKey({ value, version }: Cell): string {
  return `${version} ${value instanceof Unseen ? `unseen ${value.isText}` : valueKey(value)}`;
}

/** Nobody has seen what is unseen. */
function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Unseen) return false;
  return one === other || valueKey(one ?? null) === valueKey(other ?? null);
}

/** @returns what a cas says there was instead, null for absent; undefined when it says nothing. */
function seenInstead(output: object): unknown {
  return "value" in output ? (output.value ?? null) : undefined;
}

function isSwapped(output: unknown): boolean {
  if (isObject(output) && "swapped" in output && typeof output.swapped === "boolean") return output.swapped;
  throw unexpected("cas", "{ swapped: true }", output);
}

/** @returns the version is undefined when it is not said. */
function seenSet(output: unknown): { readonly ok: boolean; readonly version: number | undefined } {
  if (isObject(output) && "ok" in output && typeof output.ok === "boolean") {
    const { ok, version } = output as { readonly ok: boolean; readonly version?: unknown };
    if (version === undefined || isVersion(version)) return { ok, version };
  }
  throw unexpected("set", "{ ok: true, version: 1 }", output);
}

function seenEntry(output: unknown): Cell {
  if (output === null || output === undefined) return ABSENT;
  if (isObject(output) && "value" in output && "version" in output && isVersion(output.version)) {
    return { value: output.value ?? null, version: output.version };
  }
  throw unexpected("entry", '{ value: "v", version: 1 }', output);
}

function unexpected(op: string, example: string, output: unknown): RaftError {
  const message = `${op}: expected an output such as ${example}, got ${inspectShort(output)}`;
  return new RaftError("ERR_INVALID_HISTORY", message);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function written(value: unknown): unknown {
  if (value !== null && value !== undefined) return value;
  throw new RaftError("ERR_INVALID_HISTORY", "expected a value to write, got null, which stands for an absent key");
}

/** @param cap stands for all versions from there on. */
function stepCell(cell: Cell, input: KeyValueInput, output: OrUnknown<KeyValueOutput>, cap: number): Cell | undefined {
  const { value, version } = cell;
  const put = (next: unknown): Cell => ({ version: Math.min(version + 1, cap), value: next });
  switch (input.op) {
    case "get":
      return output === UNKNOWN || isSame(value, output) ? cell : undefined;
    case "entry": {
      if (output === UNKNOWN) return cell;
      const seen = seenEntry(output);
      return version === seen.version && isSame(value, seen.value) ? cell : undefined;
    }
    case "put":
      return put(written(input.value));
    case "set": {
      const fits = input.version === undefined || input.version === version;
      const next = fits ? put(written(input.value)) : cell;
      if (output === UNKNOWN) return next;
      const seen = seenSet(output);
      return seen.ok === fits && (seen.version ?? next.version) === next.version ? next : undefined;
    }
    case "append":
      if (value === null) return put(input.value);
      if (typeof value === "string") return put(value + input.value);
      if (value instanceof Unseen && value.isText) return put(value);
      return output === UNKNOWN ? cell : undefined;
    case "delete":
      return ABSENT;
    case "cas": {
      const swaps = isSame(value, input.expected);
      const next = swaps ? put(written(input.value)) : cell;
      if (output === UNKNOWN) return next;
      if (swaps !== isSwapped(output)) return undefined;
      const instead = seenInstead(output as object);
      return swaps || instead === undefined || isSame(value, instead) ? next : undefined;
    }
    default:
      throw new RaftError("ERR_INVALID_HISTORY", `the model key-value knows no operation ${inspectShort(input)}`);
  }
}

/** Stands for all texts, or all other values, that nobody has seen and that do not become one that somebody has seen. */
class Unseen {
  readonly isText: boolean;
  constructor(isText: boolean) {
    this.isText = isText;
  }
}

/**
 * A text only ever grows at its end, or is replaced. So texts with which none begins that is read or expected anywhere
 * in the history fail and allow the same operations from here on: they are one state. That is what makes appends of
 * unknown outcome bearable: of all their orders only those are told apart that somebody has seen.
 *
 * A version only ever grows until the key is deleted. So all that are higher than any that is seen or asked for are one;
 * where none is, there is but one version.
 */
function narrowKeyValue(operations: readonly Operation[]): NarrowModel<KeyValueInput, KeyValueOutput> {
  const { texts, others, highestVersion, needsUnseen } = survey(operations);
  const cap = highestVersion + 1;
  const unseenText = new Unseen(true);
  const unseenOther = new Unseen(false);

  const fold = (value: unknown): unknown => {
    if (value === null || value === undefined || value instanceof Unseen) return value;
    if (typeof value === "string") return beginsOneOf(texts, value) ? value : unseenText;
    return others.has(valueKey(value)) ? value : unseenOther;
  };
  return {
    ...keyValueModel,
    step(state, input, output) {
      const next = stepCell(state as Cell, input, output, cap);
      if (next === undefined) return undefined;
      const value = fold(next.value);
      // Whoever may do something unseen may as well not do it, if nothing is allowed there that is not allowed here.
      if (output === UNKNOWN && value instanceof Unseen && !needsUnseen) return undefined;
      return value === next.value ? next : { value, version: next.version };
    },
    stateKey: (state) => cellKey(state as Cell),
    effectKey(input) {
      const { op } = input;
      if (op === "get" || op === "entry") return undefined;
      if (op === "delete") return op;
      if (op === "append") {
        if (texts.some((text) => text.includes(input.value))) return `append ${valueKey(input.value)}`;
        return needsUnseen ? "append unseen" : undefined;
      }
      const value = fold(input.value);
      if (value instanceof Unseen && !needsUnseen) return undefined;
      const after = cellKey({ value, version: 0 });
      if (op === "cas") return `cas ${valueKey(input.expected ?? null)} ${after}`;
      return op === "set" && input.version !== undefined ? `set ${input.version} ${after}` : `put ${after}`;
    },
  };
}

interface Survey {
  /** All that is read or expected, sorted by UTF-16 unit. */
  readonly texts: readonly string[];
  /** The keys of all values that are read or expected and are no texts. */
  readonly others: ReadonlySet<string>;
  /** Of all that are read, told or asked for; 0 when none is. */
  readonly highestVersion: number;
  /** Whether an operation may succeed on an unseen value that does not on an absent key or a text that was seen. */
  readonly needsUnseen: boolean;
}

function survey(operations: readonly Operation[]): Survey {
  const texts = new Set<string>();
  const others = new Set<string>();
  let isBlind = false;
  let appends = false;
  let writesOthers = false;
  let isVersioned = false;
  let highestVersion = 0;
  const see = (value: unknown) => {
    if (typeof value === "string") texts.add(value);
    else if (value !== null && value !== undefined) others.add(valueKey(value));
  };
  const seeVersion = (version: number | undefined) => {
    if (version === undefined) return;
    if (!isVersion(version)) {
      const message = `set: version: expected a whole number, 0 for an absent key, got ${inspectShort(version)}`;
      throw new RaftError("ERR_INVALID_HISTORY", message);
    }
    isVersioned = true;
    highestVersion = Math.max(highestVersion, version);
  };
  for (const { input, output } of operations) {
    switch (input.op) {
      case "get":
        if (output !== UNKNOWN) see(output);
        break;
      case "entry":
        if (output === UNKNOWN) break;
        see(seenEntry(output).value);
        seeVersion(seenEntry(output).version);
        break;
      case "cas": {
        see(input.expected);
        if (output === UNKNOWN || isSwapped(output)) break;
        const instead = seenInstead(output as object);
        see(instead);
        isBlind ||= instead === undefined;
        break;
      }
      case "set":
        seeVersion(input.version);
        if (output !== UNKNOWN) seeVersion(seenSet(output).version);
        break;
      case "append":
        appends = true;
        break;
      default:
    }
    const writes = input.op === "put" || input.op === "set" || input.op === "cas";
    if (writes && typeof input.value !== "string") writesOthers = true;
  }
  // A write that nobody has seen shows in the version. A cas may say only that it found something else; an append
  // succeeds on an unseen text and not on a number.
  const needsUnseen = isVersioned || isBlind || (appends && writesOthers);
  return { texts: [...texts].sort(), others, highestVersion, needsUnseen };
}

/** Whether one of `sorted` begins with `text`: those that do stand together, and the first of them is not less. */
function beginsOneOf(sorted: readonly string[], text: string): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < text) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(text) === true;
}

function describeKeyValue(input: KeyValueInput, output: OrUnknown<KeyValueOutput>): string {
  const { op, key } = input;
  const show = (value: unknown) => (value === null || value === undefined ? "absent" : inspectShort(value));
  switch (op) {
    case "get":
      return `get ${key}${output === UNKNOWN ? "" : ` → ${show(output)}`}`;
    case "entry": {
      if (output === UNKNOWN) return `get ${key}`;
      const { value, version } = seenEntry(output);
      return `get ${key} → ${show(value)}, version ${version}`;
    }
    case "put":
    case "append":
      return `${op} ${key} ${show(input.value)}`;
    case "set": {
      const at = input.version === undefined ? "" : ` at version ${input.version}`;
      const text = `set ${key} ${show(input.value)}${at}`;
      if (output === UNKNOWN) return text;
      const { ok, version } = seenSet(output);
      return `${text} → ${ok ? "done" : "not done"}${version === undefined ? "" : `, version ${version}`}`;
    }
    case "cas": {
      const text = `cas ${key} ${show(input.expected)} to ${show(input.value)}`;
      if (output === UNKNOWN) return text;
      if (isSwapped(output)) return `${text} → done`;
      const instead = seenInstead(output as object);
      return `${text} → not done${instead === undefined ? "" : `, there is ${show(instead)}`}`;
    }
    default:
      return `${op} ${key}`;
  }
}
