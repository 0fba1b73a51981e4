import { SortedKeys } from "../raft/sorted-keys.ts";

/** What became of a key of the machine's table; undefined: it is removed. */
export interface MachineChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** The latest change of each key, to look up and in order. */
export class MachineChanges {
  readonly #changes = new Map<string, Uint8Array | undefined>();
  /** Made when it is first asked for, and kept up to date from then on: sorting anew for each page would be most of the work. */
  #sorted: SortedKeys | undefined;

  get size(): number {
    return this.#changes.size;
  }

  has(key: string): boolean {
    return this.#changes.has(key);
  }

  get(key: string): Uint8Array | undefined {
    return this.#changes.get(key);
  }

  set(key: string, value: Uint8Array | undefined): void {
    if (this.#sorted !== undefined && !this.#changes.has(key)) this.#sorted.add(key);
    this.#changes.set(key, value);
  }

  clear(): void {
    this.#changes.clear();
    this.#sorted = undefined;
  }

  /** All, in the order in which they came first. */
  *[Symbol.iterator](): Iterator<MachineChange> {
    for (const [key, value] of this.#changes) yield { key, value };
  }

  /** Those from `from` on and before `to`, in order. None may come meanwhile. */
  *between(from: string, to: string): Generator<MachineChange, void> {
    if (this.#changes.size === 0) return;
    this.#sorted ??= new SortedKeys(this.#changes.keys());
    for (const key of this.#sorted.from(from)) {
      if (key >= to) return;
      yield { key, value: this.#changes.get(key) };
    }
  }

  /** The same changes, with bytes of their own. */
  copy(): MachineChanges {
    const copy = new MachineChanges();
    for (const { key, value } of this) copy.set(key, value && new Uint8Array(value));
    return copy;
  }
}
