import { pack } from "./codec.ts";
import type { KeyValueWrite } from "./key-value-types.ts";
import { endOfPlain, textHead, textLength } from "./msgpack.ts";

/** What stands around key and value. */
interface Form {
  readonly wantsVersion: boolean;
  readonly beforeKey: readonly number[];
  readonly beforeValue: readonly number[];
  readonly afterValue: readonly number[];
}

/** Where key and value of a put lie in the bytes of its command, encoded. */
export interface EncodedPut {
  readonly key: number;
  readonly value: number;
  readonly end: number;
}

const EMPTY_TEXT = 0xa0;
const EMPTY = { key: "", value: "" };
const FORMS = [
  formOf({ op: "put", ...EMPTY }),
  formOf({ op: "set", ...EMPTY, version: undefined }),
  formOf({ op: "set", ...EMPTY }),
];
/** A key of no more bytes is never too long. */
const MOST_KEY_BYTES = 255;

/** Finds key and value in the bytes of a put, without decoding them; to be used again for the next. */
export class PutReader implements EncodedPut {
  key = 0;
  value = 0;
  end = 0;
  /** It is a `set` without a condition, which comes to another result. */
  wantsVersion = false;

  /**
   * @returns whether the bytes from `start` to `end` are those of a put, or of a set without a condition, its fields in the order
   * of {@link KeyValueWrite}, with a key that may be one, and a value whose end can be told at a glance.
   */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    for (const form of FORMS) if (isAt(form.beforeKey, bytes, start)) return this.#read(form, bytes, start, end);
    return false;
  }

  #read({ wantsVersion, beforeKey, beforeValue, afterValue }: Form, bytes: Uint8Array, start: number, end: number) {
    const key = start + beforeKey.length;
    const head = textHead(bytes, key);
    const length = textLength(bytes, key, head);
    if (head === 0 || length === 0 || length > MOST_KEY_BYTES) return false;
    const keyEnd = key + head + length;
    const value = keyEnd + beforeValue.length;
    const valueEnd = end - afterValue.length;
    if (!isAt(beforeValue, bytes, keyEnd) || value >= valueEnd) return false;
    if (endOfPlain(bytes, value) !== valueEnd) return false;
    if (!isAt(afterValue, bytes, valueEnd)) return false;
    this.key = key;
    this.value = value;
    this.end = valueEnd;
    this.wantsVersion = wantsVersion;
    return true;
  }
}

/** @param sample of which key and value are empty texts. */
function formOf(sample: KeyValueWrite & { op: "put" | "set" }): Form {
  const bytes = pack(sample);
  const key = bytes.indexOf(EMPTY_TEXT);
  const value = bytes.indexOf(EMPTY_TEXT, key + 1);
  return {
    wantsVersion: sample.op === "set",
    beforeKey: [...bytes.subarray(0, key)],
    beforeValue: [...bytes.subarray(key + 1, value)],
    afterValue: [...bytes.subarray(value + 1)],
  };
}

function isAt(what: readonly number[], bytes: Uint8Array, at: number): boolean {
  for (let byte = 0; byte < what.length; byte++) if (bytes[at + byte] !== what[byte]) return false;
  return true;
}
