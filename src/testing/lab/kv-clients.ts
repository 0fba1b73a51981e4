import { KvClient } from "../../kv/client.ts";
import type { KeyValueEntry, SetResult } from "../../machine/key-value-types.ts";
import type { PeerId } from "../../raft/message.ts";
import { History } from "../history.ts";
import { LabError } from "../lab-error.ts";
import { checkLinearizable } from "../linearizability/check.ts";
import { explain } from "../linearizability/explain.ts";
import { type KeyValueInput, type KeyValueOutput, keyValueModel } from "../linearizability/key-value.ts";
import type { Lab } from "./lab.ts";

/** What a call may take: longer than any disturbance of the lab lasts. */
const PATIENCE_MS = 60_000;

/** How long the check may take before it is given up as undecided. The lab lets that pass after a second; here it fails. */
const CHECK_MS = 60_000;

/** Clients whose calls are written down, to be checked in the end. */
export class KvClients {
  readonly #lab: Lab;
  readonly #isUnreliable: boolean;
  readonly #history = new History<KeyValueInput, KeyValueOutput>();
  #made = 0;

  constructor(lab: Lab, isUnreliable: boolean) {
    this.#lab = lab;
    this.#isUnreliable = isUnreliable;
  }

  /** A client that reaches these peers, or all of them; over a network as bad as the lab's if the test's is. */
  async make(reach?: readonly PeerId[]): Promise<KvCaller> {
    const name = `client ${++this.#made}`;
    const { faults } = this.#lab.cluster;
    if (reach !== undefined) await faults.client(name, reach);
    else if (this.#isUnreliable) await faults.client(name, { drop: 0.1, delayMs: [0, 26] });
    return new KvCaller(name, new KvClient(this.#lab.cluster, { name }), this.#history);
  }

  /** @throws LabError when no order of the calls explains what the clients saw, or that cannot be decided. */
  async check(): Promise<void> {
    this.#lab.step("check that the history is linearizable");
    const result = await checkLinearizable(this.#history, keyValueModel, { timeoutMs: CHECK_MS });
    if (result.verdict === "ok") return;
    if (result.verdict === "illegal") {
      throw new LabError(result.violations.map((violation) => explain(violation, keyValueModel)).join("\n"));
    }
    const keys = result.undecided.map(({ partition }) => partition).join(", ");
    throw new LabError(
      `Whether the history is linearizable was not decided within ${CHECK_MS} ms, for the keys ${keys}.`,
    );
  }
}

/** One client: one call at a time. */
export class KvCaller {
  readonly name: string;
  readonly #kv: KvClient;
  readonly #history: History<KeyValueInput, KeyValueOutput>;

  constructor(name: string, kv: KvClient, history: History<KeyValueInput, KeyValueOutput>) {
    this.name = name;
    this.#kv = kv;
    this.#history = history;
  }

  /** The string at a key, "" for none. */
  async get(key: string, timeoutMs = PATIENCE_MS): Promise<string> {
    const read = async () => (await this.#kv.get(key, { timeoutMs }))?.value;
    const value = await this.#history.record(this.name, { op: "get", key }, read);
    return value === undefined ? "" : String(value);
  }

  /** The string at a key, "" for none, and its version, 0 for none. */
  async entry(key: string, timeoutMs = PATIENCE_MS): Promise<{ readonly value: string; readonly version: number }> {
    const read = () => this.#kv.get(key, { timeoutMs });
    const entry = (await this.#history.record(this.name, { op: "entry", key }, read)) as KeyValueEntry | undefined;
    return entry === undefined ? { value: "", version: 0 } : { value: String(entry.value), version: entry.version };
  }

  /** Puts a value in the place of a version of it, 0 for none. */
  async set(key: string, value: string, version: number, timeoutMs = PATIENCE_MS): Promise<SetResult> {
    const input = { op: "set", key, value, version } as const;
    const put = () => this.#kv.put(key, value, { version, timeoutMs });
    return (await this.#history.record(this.name, input, put)) as SetResult;
  }

  async put(key: string, value: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await this.#history.record(this.name, { op: "put", key, value }, () => this.#kv.put(key, value, { timeoutMs }));
  }

  async append(key: string, value: string, timeoutMs = PATIENCE_MS): Promise<void> {
    const input = { op: "append", key, value } as const;
    await this.#history.record(this.name, input, () => this.#kv.append(key, value, { timeoutMs }));
  }
}
