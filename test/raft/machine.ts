import { hashSeed } from "../../src/raft/random.ts";

const REGISTERS = 4;

/**
 * A small state that all of its history shows in: two of them are equal at an index only if the same entries were
 * applied up to there, each once, in their order.
 */
export class Machine {
  applied = 0;
  readonly #registers: number[] = Array<number>(REGISTERS).fill(0);

  /** @param entry as `term:text`. */
  apply(entry: string): void {
    const at = this.applied++ % REGISTERS;
    this.#registers[at] = hashSeed(this.#registers[at] ?? 0, entry);
  }

  /** The same text for equal states. */
  get state(): string {
    return `${this.applied} ${this.#registers.join(" ")}`;
  }

  /**
   * What a snapshot holds. As with a real state machine, equal states need not give equal bytes: the order of the parts
   * is the author's own.
   */
  content(author: string): string {
    const parts = this.#registers.map((value, at) => `${at}=${value}`);
    const first = hashSeed(author) % REGISTERS;
    return [`applied=${this.applied}`, ...parts.slice(first), ...parts.slice(0, first)].join(";");
  }

  /** @param content what `content` gave, or nothing at all: then nothing was applied yet. */
  static parse(content: string): Machine {
    const machine = new Machine();
    if (content === "") return machine;
    for (const part of content.split(";")) {
      const [name = "", value] = part.split("=");
      if (name === "applied") machine.applied = Number(value);
      else machine.#registers[Number(name)] = Number(value);
    }
    return machine;
  }
}
