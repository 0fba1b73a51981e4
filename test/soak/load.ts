import { performance } from "node:perf_hooks";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { RaftError } from "../../src/raft/errors.ts";

/** However busy the machine is. */
const PATIENT = { timeoutMs: 60_000 };
const LOCAL = { consistency: "local", ...PATIENT } as const;

/** What became of a client's commands. They are numbered, and each appends its number to the value at the client's key. */
export interface History {
  readonly key: string;
  readonly acknowledged: number[];
  /** Certainly not applied, as their errors say. */
  readonly refused: number[];
  readonly unknown: number[];
}

export interface LoadOptions {
  /** Begins the keys of all clients. */
  readonly name: string;
  /** Each waits for the answer before it goes on. */
  readonly clients: number;
  /** How long each rests after an answer. Default 0. */
  readonly pauseMs?: number;
  /** How long a text each writes beside each of its commands, so that saves are long. Default 0: none. */
  readonly ballastBytes?: number;
  /** Called with each acknowledgement, when it has just come. */
  readonly onAcknowledged?: (key: string, number: number, term: number) => void;
  /** Called with each command whose outcome is unknown. */
  readonly onUnknown?: (key: string, number: number) => void;
}

/** Clients that propose commands until they are told to stop, or until the supervisor has stopped. */
export class Load {
  readonly histories: readonly History[];
  /** Resolves when every command that was under way is settled and no more will come. */
  readonly stopped: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #options: LoadOptions;
  #stopping = false;

  constructor(supervisor: Supervisor, options: LoadOptions) {
    this.#supervisor = supervisor;
    this.#options = options;
    const keys = Array.from({ length: options.clients }, (_, client) => `${options.name}-${client}`);
    this.histories = keys.map((key) => ({ key, acknowledged: [], refused: [], unknown: [] }));
    this.stopped = Promise.all(this.histories.map((history) => this.#run(history))).then(() => {});
  }

  get acknowledged(): number {
    return this.histories.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  }

  get unknown(): number {
    return this.histories.reduce((sum, { unknown }) => sum + unknown.length, 0);
  }

  stop(): Promise<void> {
    this.#stopping = true;
    return this.stopped;
  }

  async #run(history: History): Promise<void> {
    const { pauseMs = 0 } = this.#options;
    for (let number = 1; !this.#stopping; number++) {
      await this.#propose(history, number);
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  async #propose({ key, acknowledged, refused, unknown }: History, number: number): Promise<void> {
    const { onAcknowledged, onUnknown, ballastBytes = 0 } = this.#options;
    try {
      // What becomes of it is the same as of what comes behind it.
      if (ballastBytes > 0) this.#supervisor.propose(ballast(key, ballastBytes)).catch(() => {});
      const { term } = await this.#supervisor.propose({ op: "append", key, value: `${number} ` });
      acknowledged.push(number);
      onAcknowledged?.(key, number, term);
    } catch (error) {
      if (!isRaftError(error)) throw error;
      if (error.outcome === "not-applied") refused.push(number);
      else {
        unknown.push(number);
        onUnknown?.(key, number);
      }
      if (error.code === "ERR_STOPPED" || (isRaftError(error.cause) && error.cause.code === "ERR_STOPPED")) {
        this.#stopping = true;
      }
    }
  }
}

function ballast(key: string, bytes: number) {
  return { op: "put", key: `${key} ballast`, value: "x".repeat(bytes) };
}

/** Also one of the built package, whose class is another. */
function isRaftError(error: unknown): error is RaftError {
  return error instanceof RaftError || (error instanceof Error && error.name === "RaftError");
}

/**
 * Waits until all peers are up and have applied the same, and compares what they hold: the same values on each, every
 * acknowledged command exactly once, those of unknown outcome at most once, refused ones not at all.
 * @throws Error that says what is wrong.
 */
export async function audit(supervisor: Supervisor, histories: readonly History[]): Promise<void> {
  const { index } = await supervisor.propose({ op: "put", key: "audit", value: 0 }, PATIENT);
  for (const peer of supervisor.peers) {
    await until(`${peer.id} has caught up`, async () => {
      const { state, lastApplied } = await peer.status();
      return state === "up" && lastApplied >= index;
    });
    for (const history of histories) {
      const value = await peer.query<string | undefined>({ op: "get", key: history.key }, LOCAL);
      auditKey(peer.id, history, value ?? "");
    }
    await sameDigest(supervisor, peer.id);
  }
}

async function sameDigest(supervisor: Supervisor, id: string): Promise<void> {
  const first = supervisor.peers[0]?.id ?? id;
  const [one, other] = await Promise.all(
    [first, id].map((peer) => supervisor.peer(peer).query({ op: "digest" }, LOCAL)),
  );
  if (one !== other) throw new Error(`the states of ${first} and ${id} differ: ${one} and ${other}`);
}

function auditKey(peer: string, { key, acknowledged, refused, unknown }: History, value: string): void {
  const numbers = value.split(" ").filter(Boolean).map(Number);
  const applied = new Set(numbers);
  const wrong = (what: string) => new Error(`${what}, client ${key}, on ${peer}`);
  if (applied.size !== numbers.length) {
    throw wrong(`applied twice: ${numbers.filter((number, at) => numbers.indexOf(number) !== at)}`);
  }
  const lost = acknowledged.filter((number) => !applied.has(number));
  if (lost.length > 0) throw wrong(`acknowledged and lost: ${lost}`);
  const explained = new Set([...acknowledged, ...unknown]);
  const surplus = numbers.filter((number) => !explained.has(number));
  if (surplus.length > 0) {
    throw wrong(
      surplus.every((n) => refused.includes(n)) ? `refused and applied: ${surplus}` : `unheard of: ${surplus}`,
    );
  }
}

/** Asks again every few milliseconds. @throws Error when it is not so within a minute. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENT.timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited a minute for: ${what}`);
    await sleep(5);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
