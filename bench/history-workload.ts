import { KeyValueMap } from "../src/machine/key-value.ts";
import type { KeyValueEntry } from "../src/machine/key-value-types.ts";
import { seededRandom } from "../src/raft/random.ts";
import type { Operation } from "../src/testing/history.ts";
import type { KeyValueInput } from "../src/testing/linearizability/key-value.ts";

/** What clients do to a linearizable map. */
export interface Workload {
  readonly operations: number;
  readonly keys: number;
  readonly clients: number;
  /** The part of the calls that are answered by nobody. Half of them take effect, some of these long after. */
  readonly unknown: number;
  /** Whether some of the puts name the version that they replace, and some of the reads tell the version. */
  readonly versions?: boolean;
  readonly seed: number;
}

const MS = 1e6;
const KINDS: readonly KeyValueInput["op"][] = [
  ...Array<"get">(10).fill("get"),
  ...Array<"put">(4).fill("put"),
  ...Array<"append">(3).fill("append"),
  ...Array<"cas">(2).fill("cas"),
  "delete",
];

/** Each but `set` knows nothing of versions. */
const VERSIONED: readonly KeyValueInput["op"][] = [
  ...KINDS,
  ...KINDS,
  ...Array<"set">(12).fill("set"),
  "entry",
  "entry",
];

type Call = { client: number; call: number; effect: number; end: number; isUnknown: boolean };

/**
 * The history of clients that call one after the other, each call a moment after the one before was answered. A call
 * takes 0.5 to 5 ms, one in a hundred up to 100 ms, and takes effect at a random moment of that.
 */
export function generateHistory(workload: Workload): Operation<KeyValueInput, unknown>[] {
  const random = seededRandom(workload.seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const calls: Call[] = [];
  for (let client = 1; client <= workload.clients; client++) {
    let time = below(5 * MS);
    const count = Math.floor((workload.operations + client - 1) / workload.clients);
    for (let done = 0; done < count; done++) {
      const end = time + (random() < 0.01 ? below(100 * MS) : 0.5 * MS + below(4.5 * MS));
      const isUnknown = random() < workload.unknown;
      let effect = time + below(end - time);
      if (isUnknown && random() < 0.75) effect = random() < 2 / 3 ? Number.POSITIVE_INFINITY : time + below(1_000 * MS);
      calls.push({ client, call: time, effect, end, isUnknown });
      time = end + below(MS);
    }
  }

  const map = new KeyValueMap();
  const versionOf = (key: string) => (map.query({ op: "entry", key }) as KeyValueEntry | undefined)?.version ?? 0;
  let values = 0;
  const kinds = workload.versions ? VERSIONED : KINDS;
  const commandOn = (key: string): KeyValueInput => {
    const op = kinds[below(kinds.length)] ?? "get";
    if (op === "get" || op === "entry" || op === "delete") return { op, key };
    const value = `${(values++).toString(36)}.`;
    if (op === "set") return { op, key, value, version: Math.max(0, versionOf(key) - (random() < 0.7 ? 0 : 1)) };
    if (op !== "cas") return { op, key, value };
    const expected = random() < 0.7 ? map.query({ op: "get", key }) : `${below(values).toString(36)}.`;
    return { op, key, expected, value };
  };
  calls.sort((one, other) => one.effect - other.effect);
  const operations = calls.map(({ client, call, effect, end, isUnknown }): Operation<KeyValueInput, unknown> => {
    const input = commandOn(`key-${below(workload.keys)}`);
    const isRead = input.op === "get" || input.op === "entry";
    const perform = () => (input.op === "entry" ? map.query(input) : map.apply(input));
    const output = effect === Number.POSITIVE_INFINITY ? undefined : perform();
    if (isUnknown) return { client, input, call, outcome: "unknown" };
    return { client, input, output: isRead ? (output ?? null) : output, call, return: end, outcome: "ok" };
  });
  return operations.sort((one, other) => one.call - other.call);
}
