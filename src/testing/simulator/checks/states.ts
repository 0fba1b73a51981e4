import { crc32 } from "node:zlib";
import { decodeWithin, packBriefly } from "../../../machine/codec.ts";
import { isDurable } from "../../../machine/load.ts";
import { type EncodedMachine, restoresGradually, takesEncoded } from "../../../machine/offers.ts";
import type {
  AnyStateMachine,
  ApplyContext,
  DurableStateMachine,
  Restoration,
  StateMachine,
  StateReader,
  StateWriter,
} from "../../../machine/state-machine.ts";
import { fingerprint } from "./fingerprint.ts";
import { expectThat, type Violation } from "./violation.ts";

/** How far apart, in entries, the states of replicas are compared. */
const COMPARE_EVERY = 32;

const WHY = "the machine is not deterministic, or its snapshots do not hold all that counts";

/** A watched machine, of either kind. */
export type WatchedMachine = WatchedInMemory | WatchedDurable;

interface AppliedCommand {
  readonly command: number;
  readonly result: number;
  /** The index of the command before. */
  readonly previous: number;
  readonly by: string;
}

/** What all replicas did with each command, and what it made of them. */
export class States {
  readonly #applied = new Map<number, AppliedCommand>();
  readonly #hashes = new Map<number, { readonly hash: number; readonly by: string }>();
  readonly #report: (violation: unknown) => void;

  /** @param report is told of a violation as soon as there is one: what a machine throws would be the command's result. */
  constructor(report: (violation: unknown) => void) {
    this.#report = report;
  }

  /**
   * A machine that is compared with all others.
   * @param who names it in messages.
   * @param decodes it is given no command as bytes: what others make of those has to be the same.
   */
  watch(machine: AnyStateMachine, who: string, { decodes = false } = {}): WatchedMachine {
    if (isDurable(machine)) return new WatchedDurable(machine, who, this);
    return new WatchedInMemory(machine, who, this, decodes);
  }

  /** State Machine Safety, by content: the same command at each index, none twice, none left out, the same result. */
  check(machine: Watched, index: number, command: number, result: number): void {
    const { who: by, lastIndex, isRestored } = machine;
    const known = this.#applied.get(index);
    this.#try(() => {
      expectThat(index > lastIndex, "each entry once", () => `${by} applies entry ${index} after ${lastIndex}`);
      if (known === undefined) return;
      const isNext = isRestored ? known.previous <= lastIndex : known.previous === lastIndex;
      expectThat(isNext, "each entry once", () => {
        return `${by} applies entry ${index} after ${lastIndex}; ${known.by} has applied ${known.previous} between`;
      });
      expectThat(known.command === command, "state-machine safety", () => {
        return `${by} applies another command at entry ${index} than ${known.by}`;
      });
      expectThat(known.result === result, "equal results", () => {
        return `${machine.origin} and ${known.by} come to different results at entry ${index}: ${WHY}`;
      });
    });
    if (known === undefined) this.#applied.set(index, { command, result, previous: lastIndex, by });
  }

  /** Equal state at equal index; of snapshots with the entries behind them too, as some replicas begin with one. */
  compare(machine: Watched, before: number): void {
    const hash = machine.hash();
    const known = this.#hashes.get(before);
    if (known === undefined) this.#hashes.set(before, { hash, by: machine.who });
    this.#try(() =>
      expectThat(known === undefined || known.hash === hash, "equal state", () => {
        return `the states of ${machine.origin} and ${known?.by} before entry ${before} differ: ${WHY}`;
      }),
    );
  }

  #try(check: () => void): void {
    try {
      check();
    } catch (violation) {
      this.#report(violation as Violation);
      throw violation;
    }
  }
}

/** A replica's machine, watched. */
export abstract class Watched {
  readonly who: string;
  readonly #states: States;
  /** Of the command that was applied last, or of the snapshot that it began with since. */
  lastIndex = 0;
  isRestored = false;
  #began = 0;
  /** The entry before which it was compared last. */
  #comparedAt = 0;

  constructor(who: string, states: States) {
    this.who = who;
    this.#states = states;
  }

  /** A checksum of the state. */
  abstract hash(): number;
  abstract query(query: unknown): unknown;

  /** It is about to be restored from a snapshot of that entry. */
  beginsAt(index: number): void {
    this.lastIndex = index;
    this.isRestored = true;
    this.#began = index;
    this.#comparedAt = 0;
  }

  /** For messages: who, and with which snapshot it began. */
  get origin(): string {
    return this.#began === 0 ? this.who : `${this.who}, restored from the snapshot of entry ${this.#began},`;
  }

  protected watch(command: unknown, { index }: ApplyContext, apply: () => unknown): unknown {
    this.#compare(index);
    return this.#note(command, index, apply);
  }

  /** @param command makes it of its bytes; it is asked for what was taken only. */
  protected watchEncoded(command: () => unknown, { index }: ApplyContext, apply: () => unknown): unknown {
    this.#compare(index);
    let result: unknown;
    try {
      result = apply();
    } catch (error) {
      return this.#note(command(), index, () => {
        throw error;
      });
    }
    return result === undefined ? undefined : this.#note(command(), index, () => result);
  }

  #compare(index: number): void {
    const isDue = Math.floor(this.lastIndex / COMPARE_EVERY) < Math.floor(index / COMPARE_EVERY);
    // A command that it does not take as bytes comes a second time.
    if (!isDue || this.#comparedAt === index) return;
    this.#comparedAt = index;
    this.#states.compare(this, index);
  }

  #note(command: unknown, index: number, apply: () => unknown): unknown {
    const print = fingerprint(command);
    let outcome: { readonly result: unknown } | { readonly error: unknown };
    try {
      outcome = { result: apply() };
    } catch (error) {
      outcome = { error };
    }
    this.#states.check(this, index, print, fingerprint("error" in outcome ? String(outcome.error) : outcome.result));
    this.lastIndex = index;
    this.isRestored = false;
    if ("error" in outcome) throw outcome.error;
    return outcome.result;
  }
}

class WatchedInMemory extends Watched implements StateMachine {
  readonly #inner: StateMachine;
  readonly #encoded: EncodedMachine | undefined;
  readonly beginRestore?: () => Restoration;

  constructor(inner: StateMachine, who: string, states: States, decodes: boolean) {
    super(who, states);
    this.#inner = inner;
    this.#encoded = !decodes && takesEncoded(inner) ? inner : undefined;
    if (restoresGradually(inner)) this.beginRestore = () => inner.beginRestore();
  }

  get version(): number {
    return this.#inner.version ?? 0;
  }

  apply(command: unknown, context: ApplyContext): unknown {
    return this.watch(command, context, () => this.#inner.apply(command, context));
  }

  applyEncoded(bytes: Uint8Array, start: number, end: number, context: ApplyContext): unknown {
    const encoded = this.#encoded;
    if (encoded === undefined) return undefined;
    const decoded = () => decodeWithin(bytes, start, end);
    return this.watchEncoded(decoded, context, () => encoded.applyEncoded(bytes, start, end, context));
  }

  query(query: unknown): unknown {
    return this.#inner.query(query);
  }

  snapshot(): Uint8Array | Iterable<Uint8Array> {
    return this.#inner.snapshot();
  }

  restore(chunks: Iterable<Uint8Array>): void {
    this.#inner.restore(chunks);
  }

  hash(): number {
    const view = this.#inner.snapshot();
    let hash = 0;
    for (const chunk of view instanceof Uint8Array ? [view] : view) hash = crc32(chunk, hash);
    return hash;
  }
}

class WatchedDurable extends Watched implements DurableStateMachine {
  readonly durable = true;
  readonly #inner: DurableStateMachine;
  /** What it was opened with. */
  #state: StateReader | undefined;

  constructor(inner: DurableStateMachine, who: string, states: States) {
    super(who, states);
    this.#inner = inner;
  }

  get version(): number {
    return this.#inner.version ?? 0;
  }

  opened(state: StateReader, index: number): void {
    this.#state = state;
    if (index > 0) this.beginsAt(index);
    this.#inner.opened?.(state, index);
  }

  apply(command: unknown, context: ApplyContext, state: StateWriter): unknown {
    return this.watch(command, context, () => this.#inner.apply(command, context, state));
  }

  query(query: unknown, state = this.#state): unknown {
    return state === undefined ? undefined : this.#inner.query(query, state);
  }

  hash(): number {
    let hash = 0;
    for (const entry of this.#state?.entries() ?? []) hash = crc32(packBriefly(entry), hash);
    return hash;
  }
}
