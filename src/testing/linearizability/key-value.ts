import type { KeyValueWrite } from "../../machine/key-value-types.ts";
import { RaftError } from "../../raft/errors.ts";
import { inspectShort } from "../inspect-short.ts";
import { type Model, type ModelOperation, type NarrowModel, type OrUnknown, UNKNOWN } from "./model.ts";
import { valueKey } from "./value-key.ts";

/** What may be done to one key, as the model knows it: a key has a value, and no version. */
export type KeyValueInput = Exclude<KeyValueWrite, { readonly op: "set" }>;

/**
 * What an operation on a key may come to. Of a `get` the value, null or undefined for an absent key. Of a `cas` whether it was `swapped`, and,
 * if that is known, which other `value` was there instead. What a `put`, `append` or `delete` comes to is not looked at.
 */
export type KeyValueOutput = unknown;

type Operation = ModelOperation<KeyValueInput, KeyValueOutput>;

/**
 * The key-value map that ships with flotilla, key by key. Null stands for an absent key, as in JSON; so no value is
 * null. As in the map, an append to an absent key makes it, and one to anything but a string changes nothing and is no
 * success.
 */
export const keyValueModel: Model<unknown, KeyValueInput, KeyValueOutput> = {
  name: "key-value",
  init: () => null,
  step: stepCell,
  partition: ({ key }) => key,
  stateKey: valueKey,
  describe: describeKeyValue,
  narrow: narrowKeyValue,
};

function isSame(one: unknown, other: unknown): boolean {
  return one === other || valueKey(one ?? null) === valueKey(other ?? null);
}

/** @returns what a cas says there was instead, null for absent; undefined when it says nothing. */
function seenInstead(output: object): unknown {
  return "value" in output ? (output.value ?? null) : undefined;
}

function isSwapped(output: unknown): boolean {
  if (typeof output === "object" && output !== null && "swapped" in output && typeof output.swapped === "boolean") {
    return output.swapped;
  }
  throw new RaftError(
    "ERR_INVALID_HISTORY",
    `cas: expected an output such as { swapped: true }, got ${inspectShort(output)}`,
  );
}

function written(value: unknown): unknown {
  if (value !== null && value !== undefined) return value;
  throw new RaftError("ERR_INVALID_HISTORY", "expected a value to write, got null, which stands for an absent key");
}

function stepCell(state: unknown, input: KeyValueInput, output: OrUnknown<KeyValueOutput>): unknown {
  switch (input.op) {
    case "get":
      return output === UNKNOWN || isSame(state, output) ? state : undefined;
    case "put":
      return written(input.value);
    case "append":
      if (state === null) return input.value;
      if (typeof state === "string") return state + input.value;
      return output === UNKNOWN ? state : undefined;
    case "delete":
      return null;
    case "cas": {
      const swaps = isSame(state, input.expected);
      const next = swaps ? written(input.value) : state;
      if (output === UNKNOWN) return next;
      if (swaps !== isSwapped(output)) return undefined;
      const instead = seenInstead(output as object);
      return swaps || instead === undefined || isSame(state, instead) ? next : undefined;
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
 */
function narrowKeyValue(operations: readonly Operation[]): NarrowModel<KeyValueInput, KeyValueOutput> {
  const { texts, others, needsUnseen } = survey(operations);
  const unseenText = new Unseen(true);
  const unseenOther = new Unseen(false);

  const fold = (value: unknown): unknown => {
    if (value === null || value === undefined || value instanceof Unseen) return value;
    if (typeof value === "string") return beginsOneOf(texts, value) ? value : unseenText;
    return others.has(valueKey(value)) ? value : unseenOther;
  };
  const stateKey = (state: unknown) => (state instanceof Unseen ? `unseen ${state.isText}` : valueKey(state));
  return {
    ...keyValueModel,
    step(state, input, output) {
      const next = fold(state instanceof Unseen ? stepUnseen(state, input, output) : stepCell(state, input, output));
      // Whoever may do something unseen may as well not do it, if nothing is allowed there that is not allowed here.
      return output === UNKNOWN && next instanceof Unseen && !needsUnseen ? undefined : next;
    },
    stateKey,
    effectKey(input) {
      const { op } = input;
      if (op === "get") return undefined;
      if (op === "delete") return op;
      if (op === "append") {
        if (texts.some((text) => text.includes(input.value))) return `append ${valueKey(input.value)}`;
        return needsUnseen ? "append unseen" : undefined;
      }
      const after = fold(input.value);
      if (after instanceof Unseen && !needsUnseen) return undefined;
      return op === "cas" ? `cas ${valueKey(input.expected ?? null)} ${stateKey(after)}` : `put ${stateKey(after)}`;
    },
  };
}

function stepUnseen(state: Unseen, input: KeyValueInput, output: OrUnknown<KeyValueOutput>): unknown {
  switch (input.op) {
    case "get":
      return output === UNKNOWN ? state : undefined;
    case "append":
      return state.isText || output === UNKNOWN ? state : undefined;
    case "cas":
      if (output === UNKNOWN) return state;
      return isSwapped(output) || seenInstead(output as object) !== undefined ? undefined : state;
    default:
      return stepCell(null, input, output);
  }
}

interface Survey {
  /** All that is read or expected, sorted by UTF-16 unit. */
  readonly texts: readonly string[];
  /** The keys of all values that are read or expected and are no texts. */
  readonly others: ReadonlySet<string>;
  /** Whether an operation may succeed on an unseen value that does not on an absent key or a text that was seen. */
  readonly needsUnseen: boolean;
}

function survey(operations: readonly Operation[]): Survey {
  const texts = new Set<string>();
  const others = new Set<string>();
  let isBlind = false;
  let appends = false;
  let writesOthers = false;
  const see = (value: unknown) => {
    if (typeof value === "string") texts.add(value);
    else if (value !== null && value !== undefined) others.add(valueKey(value));
  };
  for (const { input, output } of operations) {
    if (input.op === "get" && output !== UNKNOWN) see(output);
    if (input.op === "cas") {
      see(input.expected);
      if (output !== UNKNOWN && !isSwapped(output)) {
        const instead = seenInstead(output as object);
        see(instead);
        isBlind ||= instead === undefined;
      }
    }
    if (input.op === "append") appends = true;
    if ((input.op === "put" || input.op === "cas") && typeof input.value !== "string") writesOthers = true;
  }
  // A cas that only says it found something else; an append, which succeeds on an unseen text and not on a number.
  return { texts: [...texts].sort(), others, needsUnseen: isBlind || (appends && writesOthers) };
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
    case "put":
    case "append":
      return `${op} ${key} ${show(input.value)}`;
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
