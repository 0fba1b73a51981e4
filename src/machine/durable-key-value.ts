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
    return carryOut(new StoredWritableCells(state), command, index, this.#history);
  }

  query(query: KeyValueQuery, state: StateReader): KeyValueAnswer {
    return answer(new StoredCells(state), query, this.#history);
  }
}

class StoredCells implements Cells {
  readonly #state: StateReader;

  constructor(state: StateReader) {
    this.#state = state;
  }

  get size(): number {
    return (this.#state.get(SIZE) as number | undefined) ?? 0;
  }

  get(key: string): Cell | undefined {
    return cellOf(key, this.#state.get(ENTRY + key));
  }

  *from(from: string): Generator<Cell> {
    for (const [key, stored] of this.#state.entries({ prefix: ENTRY, from: ENTRY + from })) {
      const cell = cellOf(key.slice(ENTRY.length), stored);
      if (cell !== undefined) yield cell;
    }
  }
}

class StoredWritableCells extends StoredCells implements WritableCells {
  readonly #writer: StateWriter;

  constructor(state: StateWriter) {
    super(state);
    this.#writer = state;
  }

  set(key: string, cell: Cell | undefined): void {
    const state = this.#writer;
    if (cell === undefined) {
      if (state.delete(ENTRY + key)) state.put(SIZE, this.size - 1);
      return;
    }
    if (state.get(ENTRY + key) === undefined) state.put(SIZE, this.size + 1);
    state.put(ENTRY + key, [cell.value, cell.version]);
  }
}

function cellOf(key: string, stored: unknown): Cell | undefined {
  if (stored === undefined) return undefined;
  const [value, version] = stored as readonly [value: unknown, version: number];
  return { key, value, version };
}
