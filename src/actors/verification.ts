import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { readStore } from "../storage/read-store.ts";
import type { Durability } from "../storage/store.ts";
import type { EventData } from "./protocol.ts";

/** How much of a store is read before its peer is started, see `SupervisorOptions.verify`. */
export type Verify = "full" | "ends" | false;

/** How many stores are read at a time: they wait for one disk. */
const AT_ONCE = 2;

export interface VerificationOptions {
  readonly verify: Exclude<Verify, false>;
  readonly durability: Durability;
  readonly tell: (event: EventData) => void;
}

/**
 * Verifies the stores of a cluster, each in a process of its own: LMDB trusts its file, and a broken page can end the
 * process that follows it.
 */
export class Verification {
  readonly #options: VerificationOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the store of `peer` in the folder `path` may be opened. A disk that refuses to write is no reason
   * against it.
   * @throws RaftError `ERR_STORAGE_CORRUPT` that names what is wrong; `ERR_STORAGE_FULL` when there is no room to find
   * out, `ERR_STORAGE_FAILED` when it could not be found out otherwise; `ERR_ABORTED` with the signal, once its process
   * has ended.
   */
  async verify(peer: PeerId, path: string, signal: AbortSignal): Promise<void> {
    await this.#enter(signal);
    try {
      await this.#read(peer, path, signal);
    } finally {
      this.#leave();
    }
  }

  async #read(peer: PeerId, path: string, signal: AbortSignal): Promise<void> {
    const { verify, durability, tell } = this.#options;
    const depth = verify === "full" ? "all" : "ends";
    let isTold = false;
    const onProgress = (fraction: number) => {
      isTold = true;
      tell({ type: "verify", peer, fraction });
    };
    const { problems } = await readStore({ path, depth, write: durability }, { signal, onProgress });
    if (isTold) tell({ type: "verify", peer, fraction: 1 });
    const [first, ...others] = problems;
    if (first === undefined) return;
    const more = others.length === 0 ? "" : `, and ${others.length} more`;
    throw new RaftError("ERR_STORAGE_CORRUPT", `the store of ${peer} at ${path} is broken: ${first}${more}`);
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#running < AT_ONCE) {
      this.#running++;
      return;
    }
    // Whoever leaves hands over its place.
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new RaftError("ERR_ABORTED", "the verification was ended before it began"));
      };
      const enter = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(enter);
    });
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}
