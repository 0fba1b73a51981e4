import type { MessagePort, Worker } from "node:worker_threads";
import { type Endpoint, expose, type Remote, wrap } from "comlink";
import { RaftError } from "../raft/errors.ts";
import { errorData, fromErrorData, type Settled } from "./protocol.ts";

/** Calls to another thread by name, each of which settles with a plain value or an error. */
export type ControlApi = Record<string, (...args: never[]) => unknown>;

/** Answers the calls that come in over `port`. What a call throws goes back as data: comlink keeps only its message. */
export function serve(api: ControlApi, port: MessagePort): void {
  const served = {
    async call(name: string, args: never[]): Promise<Settled<unknown>> {
      try {
        return { ok: true, value: await api[name]?.(...args) };
      } catch (error) {
        return { ok: false, error: errorData(error, "ERR_STOPPED") };
      }
    },
  };
  expose(served, port as unknown as Endpoint);
}

/** The caller's end. Each call settles even when the other thread dies: comlink alone would leave it waiting. */
export class Control<Api extends ControlApi> {
  // Kept for as long as calls may be under way: comlink drops them when its proxy is collected.
  readonly #remote: Remote<{ call(name: string, args: readonly unknown[]): Promise<Settled<unknown>> }>;
  readonly #port: MessagePort;
  readonly #waiting = new Set<(error: RaftError) => void>();
  #dead: RaftError | undefined;

  constructor(port: MessagePort, worker: Worker) {
    this.#port = port;
    this.#remote = wrap(port as unknown as Endpoint);
    let cause: unknown;
    worker.once("error", (error) => {
      cause = error;
    });
    worker.once("exit", () => {
      this.#dead = new RaftError("ERR_STOPPED", "the supervisor's thread has ended", { outcome: "unknown", cause });
      for (const reject of this.#waiting) reject(this.#dead);
    });
  }

  /**
   * @throws RaftError what the other side threw, `ERR_INVALID_OPTION` when the arguments cannot be sent, or
   * `ERR_STOPPED` when its thread ended first.
   */
  async call<Name extends keyof Api & string>(
    name: Name,
    ...args: Parameters<Api[Name]>
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    if (this.#dead !== undefined) throw this.#dead;
    const settled = await new Promise<Settled<unknown>>((resolve, reject) => {
      this.#waiting.add(reject);
      const unsendable = (cause: unknown) =>
        reject(
          new RaftError("ERR_INVALID_OPTION", `${name} cannot be called with these arguments: ${String(cause)}`, {
            cause,
          }),
        );
      this.#remote
        .call(name, args)
        .then(resolve, unsendable)
        .finally(() => this.#waiting.delete(reject));
    });
    if (!settled.ok) throw fromErrorData(settled.error);
    return settled.value as Awaited<ReturnType<Api[Name]>>;
  }

  close(): void {
    this.#port.close();
  }
}
