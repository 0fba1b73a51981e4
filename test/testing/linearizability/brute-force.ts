import { isDeepStrictEqual } from "node:util";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import type { Operation } from "../../../src/testing/history.ts";
import type { KeyValueInput } from "../../../src/testing/linearizability/key-value.ts";

type Call = Operation<KeyValueInput, unknown>;

/**
 * The slow twin: tries every order of the operations that their times allow, and of those of unknown outcome every
 * choice, on the map itself.
 */
export function isLinearizable(history: readonly Call[]): boolean {
  return search(
    history.filter(({ outcome }) => outcome !== "failed"),
    [],
  );
}

/** What the map makes of an operation. @throws Error when it refuses a command. */
export function perform(map: KeyValueMap, input: KeyValueInput): unknown {
  return input.op === "entry" ? map.query(input) : map.apply(input);
}

function search(left: readonly Call[], done: readonly KeyValueInput[]): boolean {
  if (left.every(({ outcome }) => outcome === "unknown")) return true;
  return left.some((operation) => {
    const mustWait = left.some(({ outcome, return: end = 0 }) => outcome === "ok" && end < operation.call);
    if (mustWait) return false;
    const result = resultOf(done, operation.input);
    if (operation.outcome === "ok" && !fits(operation, result)) return false;
    return search(
      left.filter((other) => other !== operation),
      [...done, operation.input],
    );
  });
}

function resultOf(done: readonly KeyValueInput[], last: KeyValueInput): unknown {
  const map = new KeyValueMap();
  let result: unknown;
  for (const input of [...done, last]) {
    try {
      result = perform(map, input);
    } catch (error) {
      result = error;
    }
  }
  return result;
}

function fits({ input, output }: Call, result: unknown): boolean {
  if (result instanceof Error) return false;
  if (input.op === "get") return isDeepStrictEqual(output ?? undefined, result);
  if (input.op === "entry") {
    const [said, is] = [output ?? undefined, result] as ({ value: unknown; version: number } | undefined)[];
    return said?.version === is?.version && isDeepStrictEqual(said?.value, is?.value);
  }
  if (input.op === "set") {
    const [said, is] = [output, result] as { ok: boolean; version?: number }[];
    return said?.ok === is?.ok && (said?.version ?? is?.version) === is?.version;
  }
  if (input.op !== "cas") return true;
  const [said, is] = [output, result] as { swapped: boolean; value?: unknown }[];
  if (said?.swapped !== is?.swapped) return false;
  return said?.swapped === true || !("value" in (said ?? {})) || isDeepStrictEqual(said?.value ?? undefined, is?.value);
}
