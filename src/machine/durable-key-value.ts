import { ChangeHistory } from "./change-history.ts";
import type { KeyValueMapOptions } from "./key-value.ts";
import { answer, type Cell, type Cells, carryOut, type WritableCells } from "./key-value-rules.ts";
import type { KeyValueAnswer, KeyValueCommand, KeyValueQuery, KeyValueResult } from "./key-value-types.ts";
import type { ApplyContext, DurableStateMachine, StateReader, StateWriter } from "./state-machine.ts";

/**
 * For the option `machine`: the key-value map whose entries are in the peers' stores and not in their memory. Commands,
 * queries and results are those of the map that is run by default, and `KvClient` works with both.
 */
export const durableKeyValueMap: URL = new URL(import.meta.url);

/** Under this and its key each entry stands, as value and version. */
const ENTRY = "e";
/** The number of entries. */
const SIZE = "n";

/**
 * The key-value map of the same commands, queries and results as {@link KeyValueMap}, with its entries in the peer's store:
 * for maps that are larger than memory, or that are to be there at once after a restart.
 */
export default class DurableKeyValueMap
  implements DurableStateMachine<KeyValueCommand, KeyValueResult, KeyValueQuery, KeyValueAnswer>
{
  readonly durable = true;
  readonly version = 2;
  #history: ChangeHistory;
  readonly #maxChanges: number | undefined;

  constructor({ maxChanges }: KeyValueMapOptions = {}) {
    this.#maxChanges = maxChanges;
    this.#history = new ChangeHistory(0, maxChanges);
  }

  /** The latest changes are in memory, and none is known from before. */
  opened(_state: StateReader, index: number): void {
    this.#history = new ChangeHistory(index, this.#maxChanges);
  }

  apply(command: KeyValueCommand, { index }: Pick<ApplyContext, "index">, state: StateWriter): KeyValueResult {
    return carryOut(writableCells(state), command, index, this.#history);
  }

  query(query: KeyValueQuery, state: StateReader): KeyValueAnswer {
    return answer(cellsOf(state), query, this.#history);
  }
}

function cellsOf(state: StateReader): Cells {
  return {
    get size() {
      return (state.get(SIZE) as number | undefined) ?? 0;
    },
    get: (key) => cellOf(key, state.get(ENTRY + key)),
    *from(from) {
      for (const [key, stored] of state.entries({ prefix: ENTRY, from: ENTRY + from })) {
        const cell = cellOf(key.slice(ENTRY.length), stored);
        if (cell !== undefined) yield cell;
      }
    },
  };
}

function writableCells(state: StateWriter): WritableCells {
  const cells = cellsOf(state);
  return {
    get: cells.get,
    set(key, cell) {
      const { size } = cells;
      if (cell === undefined) {
        if (state.delete(ENTRY + key)) state.put(SIZE, size - 1);
        return;
      }
      if (state.get(ENTRY + key) === undefined) state.put(SIZE, size + 1);
      state.put(ENTRY + key, [cell.value, cell.version]);
    },
  };
}

function cellOf(key: string, stored: unknown): Cell | undefined {
  if (stored === undefined) return undefined;
  const [value, version] = stored as readonly [value: unknown, version: number];
  return { key, value, version };
}
