import type { Consistency } from "../actors/protocol.ts";
import type { Session } from "../actors/session.ts";
import type { Supervisor } from "../actors/supervisor.ts";
import type {
  CompareAndSwapResult,
  KeyValueCommand,
  KeyValueEntry,
  KeyValuePage,
  KeyValueRange,
  KeyValueResult,
  KeyValueWrite,
  SetResult,
  TransactionResult,
  VersionCheck,
} from "../machine/key-value-types.ts";
import type { PeerId } from "../raft/message.ts";
import { checkChecks, checkKey, checkText, checkValue, checkVersion, checkWrites } from "./arguments.ts";
import { type KvChange, type KvWatchOptions, watchChanges } from "./watch.ts";

/** What a {@link KvClient} can be given. */
export interface KvClientOptions {
  /** The client's name, for the rules of `faults.client`. */
  readonly name?: string;
  /**
   * The peers that it talks to. Commands and linearizable reads need the leader to be among them, or wait for one that is;
   * local reads and watches are content with any. Default: all.
   */
  readonly via?: readonly PeerId[];
  /** After how long without a command its session expires, in milliseconds; see `supervisor.session`. Default an hour. */
  readonly expireMs?: number;
}

/** What each call takes. */
export interface KvCallOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  /** How long to go on trying, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
}

/** What each read takes. */
export interface KvReadOptions extends KvCallOptions {
  /** See `supervisor.query`; default `linearizable`. A client's reads never go back behind what it has seen before. */
  readonly consistency?: Consistency;
}

/** What {@link KvClient.txn} takes. */
export interface KvTransaction extends KvCallOptions {
  /** Nothing is done unless each key has its version; 0: no such key. */
  readonly checks?: readonly VersionCheck[];
}

/**
 * A client of a cluster that runs the key-value map. Each of its commands is carried out exactly once, or the error's
 * `outcome` says that this is not known; commands that are not waited for are carried out in their order.
 *
 * Keys are strings of 1 to 1,024 bytes in UTF-8. Values are anything that `propose` takes but undefined, as large as
 * `maxCommandBytes` allows; a string that `append` makes may have 16 Mi characters.
 *
 * Every method throws RaftError `ERR_INVALID_COMMAND` for a key or value that cannot be, before anything is sent, and
 * what `session.propose` and `session.query` throw.
 */
export class KvClient {
  readonly #session: Session;
  readonly #via: readonly PeerId[];

  /** @throws RaftError `ERR_INVALID_OPTION`, `ERR_UNKNOWN_PEER` */
  constructor(supervisor: Supervisor, { name, via, expireMs }: KvClientOptions = {}) {
    this.#session = supervisor.session({ client: name, via, expireMs });
    this.#via = via ?? supervisor.peers.map(({ id }) => id);
  }

  /** What is at a key, with its version; undefined when there is nothing. */
  async get(key: string, options: KvReadOptions = {}): Promise<KeyValueEntry | undefined> {
    return this.#session.query({ op: "entry", key: checkKey(key) }, options);
  }

  /**
   * Puts a value. With `version` only if the key has it, 0 for no such key: so of several clients that have read the same
   * version one succeeds.
   */
  async put(
    key: string,
    value: unknown,
    { version, ...options }: KvCallOptions & { readonly version?: number } = {},
  ): Promise<SetResult> {
    if (version !== undefined) checkVersion(version);
    return this.#propose({ op: "set", key: checkKey(key), value: checkValue(value), version }, options);
  }

  /** Adds to the end of a string, or makes one. Resolves with its length. */
  async append(key: string, value: string, options: KvCallOptions = {}): Promise<number> {
    return this.#propose({ op: "append", key: checkKey(key), value: checkText(value) }, options);
  }

  /** Resolves with whether the key was there. */
  async delete(key: string, options: KvCallOptions = {}): Promise<boolean> {
    return this.#propose({ op: "delete", key: checkKey(key) }, options);
  }

  /** Puts `value` if `expected` is there, the same by structure; undefined stands for no such key. */
  async cas(
    key: string,
    expected: unknown,
    value: unknown,
    options: KvCallOptions = {},
  ): Promise<CompareAndSwapResult> {
    return this.#propose({ op: "cas", key: checkKey(key), expected, value: checkValue(value) }, options);
  }

  /**
   * Several commands as one: all are carried out, each seeing those before it, or none of them. One that throws undoes the
   * others, and the error is `ERR_MACHINE_THREW`.
   */
  async txn(
    commands: readonly KeyValueWrite[],
    { checks = [], ...options }: KvTransaction = {},
  ): Promise<TransactionResult> {
    checkWrites(commands);
    checkChecks(checks);
    return this.#propose({ op: "txn", commands, checks }, options);
  }

  /**
   * Goes through the entries of a range in order. They are fetched in pages; each is of one moment, and not before that of
   * the page before, but commands in between may show in the later ones only.
   */
  async *scan(range: KeyValueRange = {}, options: KvReadOptions = {}): AsyncGenerator<KeyValueEntry, void, undefined> {
    let from: string | undefined = range.from ?? "";
    while (from !== undefined) {
      const page: KeyValuePage = await this.#session.query({ ...range, op: "scan", from }, options);
      yield* page.entries;
      from = page.next;
    }
  }

  /**
   * The changes to a key, or to all that begin with `prefix`, as they happen, in the order of the log, each once. It goes
   * through crashes and changes of leadership, and ends with the signal or with `break`.
   *
   * Each peer keeps its latest 10,000 changes, of 8 MiB, since it last began with a snapshot.
   * @throws RaftError `ERR_INVALID_COMMAND` or `ERR_INVALID_OPTION` at once. While it is read: `ERR_COMPACTED` when no peer in
   * reach has all changes since `after` any more; `firstIndex` is the earliest that some peer has. Note `lastSeen`, read
   * anew, and watch from what you have noted. `ERR_STOPPED` when the supervisor is stopped.
   */
  watch(options: KvWatchOptions = {}): AsyncGenerator<KvChange, void, undefined> {
    if (options.key !== undefined) checkKey(options.key);
    return watchChanges(this.#session, this.#via, options);
  }

  /** The latest entry of the log that this client's results and reads reflect; a `watch` may begin behind it. */
  get lastSeen(): number {
    return this.#session.lastSeen;
  }

  async #propose<Command extends KeyValueCommand>(
    command: Command,
    options: KvCallOptions,
  ): Promise<KeyValueResult<Command>> {
    return (await this.#session.propose<KeyValueResult<Command>>(command, options)).result;
  }
}
