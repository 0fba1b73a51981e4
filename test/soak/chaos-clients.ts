import type { CompareAndSwapResult, KeyValueEntry, KvClient, KvReadOptions, SetResult } from "../../src/kv.ts";
import type { RaftError } from "../../src/raft/errors.ts";
import type { Random } from "../../src/raft/random.ts";
import type { History, KeyValueInput, Supervisor } from "../../src/testing/index.ts";
import { sleep, until } from "./load.ts";

const SESSIONS = 20;
const PLAIN = 5;
const KEYS = 50;
/** The longest that a client rests after an answer. */
const MAX_PAUSE_MS = 40;
/** The shortest and the longest that a client waits for an answer: some give up while there is no leader. */
const TIMEOUT_MS = [200, 3_000] as const;
/** How a value is read; all of these must be linearizable. */
const READS: readonly Pick<KvReadOptions, "consistency">[] = [
  { consistency: "linearizable" },
  { consistency: "lease" },
];

/** How a call may end while there are faults. */
const EXPECTED: ReadonlySet<string> = new Set([
  "ERR_UNKNOWN_OUTCOME",
  "ERR_NOT_LEADER",
  "ERR_TIMEOUT",
  "ERR_SUPERSEDED",
  "ERR_PEER_DOWN",
] satisfies RaftError["code"][]);

type Calls = History<KeyValueInput, unknown>;

interface Client {
  readonly name: string;
  readonly perform: (input: KeyValueInput, timeoutMs: number, read: (typeof READS)[number]) => Promise<unknown>;
  /** What it last knew to be at a key. */
  readonly seen: Map<string, unknown>;
  /** Which version it last knew a key to have. */
  readonly versions: Map<string, number>;
}

/** Clients with sessions, and some without, that write down in a history what they do and see. */
export class ChaosClients {
  /** Those that may be cut off; the others always reach all peers. */
  readonly disturbed: readonly string[];
  /** How many calls ended with which error. */
  readonly errors = new Map<string, number>();
  readonly #clients: readonly Client[];
  readonly #random: Random;
  #written = 0;

  constructor(supervisor: Supervisor, Kv: typeof KvClient, random: Random) {
    this.#random = random;
    this.#clients = Array.from({ length: SESSIONS + PLAIN }, (_, at) => {
      const name = `${at < SESSIONS ? "session" : "plain"}-${at}`;
      const perform = at < SESSIONS ? inSession(new Kv(supervisor, { name })) : plainly(supervisor, name, random);
      return { name, perform, seen: new Map(), versions: new Map() };
    });
    this.disturbed = this.#clients.filter((_, at) => at % 2 === 0).map(({ name }) => name);
  }

  /** All begin to call, on keys that begin with `prefix`, until they are stopped: that resolves when all calls are settled. */
  run(history: Calls, prefix: string): { stop(): Promise<void> } {
    let isStopping = false;
    let running = this.#clients.length;
    const live = async (client: Client) => {
      try {
        while (!isStopping) {
          await this.#call(history, client, this.#draw(client, `${prefix}${Math.floor(this.#random() * KEYS)}`));
          await sleep(this.#random() * MAX_PAUSE_MS);
        }
      } finally {
        running--;
      }
    };
    const all = Promise.all(this.#clients.map(live));
    all.catch(() => {});
    return {
      async stop() {
        isStopping = true;
        await until("all calls are settled", () => running === 0);
        await all;
      },
    };
  }

  /** Reads every key once, when all is well. @throws Error when one cannot be read. */
  async readAll(history: Calls, prefix: string): Promise<void> {
    const [client] = this.#clients;
    for (let key = 0; client !== undefined && key < KEYS; key++) {
      const input = { op: "get", key: `${prefix}${key}` } as const;
      await history.record(client.name, input, () => client.perform(input, 60_000, {}));
    }
  }

  /** Values are written once only, so that it shows whose write was seen. Texts are replaced before they grow long. */
  #draw({ seen, versions }: Client, key: string): KeyValueInput {
    const kind = this.#random();
    if (kind < 0.2) return { op: "get", key };
    if (kind < 0.4) return { op: "entry", key };
    const value = `${(++this.#written).toString(36)} `;
    if (kind < 0.6) return { op: "append", key, value };
    if (kind < 0.7) return { op: "put", key, value };
    if (kind < 0.82) return { op: "set", key, value, version: versions.get(key) ?? 0 };
    if (kind < 0.95) return { op: "cas", key, expected: seen.get(key), value };
    return { op: "delete", key };
  }

  async #call(history: Calls, client: Client, input: KeyValueInput): Promise<void> {
    const [min, max] = TIMEOUT_MS;
    const timeoutMs = min + this.#random() * (max - min);
    const read = READS[Math.floor(this.#random() * READS.length)] ?? {};
    try {
      const output = await history.record(client.name, input, () => client.perform(input, timeoutMs, read));
      client.seen.set(input.key, valueAfter(input, output));
      const version = versionAfter(input, output);
      if (version === undefined) client.versions.delete(input.key);
      else client.versions.set(input.key, version);
    } catch (error) {
      if (!isRaftError(error) || !EXPECTED.has(error.code)) throw error;
      this.errors.set(error.code, (this.errors.get(error.code) ?? 0) + 1);
    }
  }
}

/** Also one of the built package, whose class is another. */
function isRaftError(error: unknown): error is RaftError {
  return error instanceof Error && error.name === "RaftError";
}

/** What is certainly there after an `append` only a read tells. */
function valueAfter(input: KeyValueInput, output: unknown): unknown {
  switch (input.op) {
    case "get":
      return output;
    case "entry":
      return (output as KeyValueEntry | undefined)?.value;
    case "put":
      return input.value;
    case "set":
      return (output as SetResult).ok ? input.value : undefined;
    case "cas": {
      const { swapped, value } = output as CompareAndSwapResult;
      return swapped ? input.value : value;
    }
    default:
      return undefined;
  }
}

function versionAfter({ op }: KeyValueInput, output: unknown): number | undefined {
  if (op === "entry") return (output as KeyValueEntry | undefined)?.version ?? 0;
  return op === "set" ? (output as SetResult).version : undefined;
}

function inSession(client: KvClient): Client["perform"] {
  return async (input, timeoutMs, read) => {
    const { key } = input;
    switch (input.op) {
      case "get":
        return (await client.get(key, { ...read, timeoutMs }))?.value;
      case "entry":
        return client.get(key, { ...read, timeoutMs });
      case "put":
        return client.put(key, input.value, { timeoutMs });
      case "set":
        return client.put(key, input.value, { version: input.version ?? 0, timeoutMs });
      case "append":
        return client.append(key, input.value, { timeoutMs });
      case "delete":
        return client.delete(key, { timeoutMs });
      case "cas":
        return client.cas(key, input.expected, input.value, { timeoutMs });
    }
  };
}

/** Every other read asks a peer by its name, which mostly follows. */
function plainly(supervisor: Supervisor, client: string, random: Random): Client["perform"] {
  const { peers } = supervisor;
  return async (input, timeoutMs, read) => {
    if (input.op === "get" || input.op === "entry") {
      const asked = peers[Math.floor(random() * 2 * peers.length)] ?? supervisor;
      return asked.query(input, { ...read, client, timeoutMs });
    }
    return (await supervisor.propose(input, { client, timeoutMs })).result;
  };
}
