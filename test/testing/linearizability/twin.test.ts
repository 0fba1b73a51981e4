import { expect, test } from "vitest";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import { seededRandom } from "../../../src/raft/random.ts";
import type { Operation } from "../../../src/testing/history.ts";
import { checkLinearizable } from "../../../src/testing/linearizability/check.ts";
import type { KeyValueInput } from "../../../src/testing/linearizability/key-value.ts";
import { keyValueModel } from "../../../src/testing/linearizability/key-value.ts";
import { isLinearizable, perform } from "./brute-force.ts";

type Call = Operation<KeyValueInput, unknown>;

const PLAIN = ["get", "get", "get", "put", "append", "append", "cas", "delete"] as const;
const VERSIONED = ["get", "entry", "entry", "put", "set", "set", "set", "append", "cas", "delete"] as const;

/** A few calls that overlap, of few values, so that they meet. Outputs are mostly those of some order, but times are not. */
function randomHistory(seed: number, kinds: readonly KeyValueInput["op"][]): Call[] {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const texts = ["a", "b", "c", "ab", "ac"];
  const value = () => (random() < 0.1 ? 1 : texts[below(random() < 0.5 ? 2 : 5)]);
  const map = new KeyValueMap();
  const apply = (input: KeyValueInput): unknown => {
    try {
      return perform(map, input);
    } catch {
      return undefined;
    }
  };
  const commandOn = (key: string): KeyValueInput => {
    const op = kinds[below(kinds.length)] ?? "get";
    if (op === "get" || op === "entry" || op === "delete") return { op, key };
    if (op === "append") return { op, key, value: texts[below(3)] ?? "a" };
    if (op === "put") return { op, key, value: value() };
    if (op === "set") return { op, key, value: value(), ...(random() < 0.8 ? { version: below(4) } : {}) };
    return { op, key, expected: random() < 0.3 ? undefined : value(), value: value() };
  };
  const spread = 2 + below(6);
  return Array.from({ length: 3 + below(5) }, (_, at): Call => {
    const input = commandOn(random() < 0.9 ? "k" : "l");
    const isUnknown = random() < 0.3;
    const call = at + below(spread);
    const common = { client: at, input, call };
    const told = isUnknown && random() < 0.5 ? undefined : apply(input);
    if (random() < 0.05) return { ...common, return: call + below(spread), outcome: "failed" };
    if (isUnknown) return { ...common, outcome: "unknown" };
    return { ...common, output: outputOf(input, told), return: call + below(spread), outcome: "ok" };
  });

  function outputOf(input: KeyValueInput, told: unknown): unknown {
    const isWrong = random() < 0.2;
    if (input.op === "get") return isWrong ? value() : (told ?? null);
    if (input.op === "entry") return isWrong ? { value: value(), version: 1 + below(3) } : (told ?? null);
    if (input.op === "set") {
      const { ok, version } = told as { ok: boolean; version: number };
      if (isWrong) return random() < 0.5 ? { ok: !ok } : { ok, version: below(4) };
      return random() < 0.5 ? { ok } : { ok, version };
    }
    if (input.op !== "cas") return undefined;
    const { swapped, value: instead } = told as { swapped: boolean; value: unknown };
    if (isWrong) return { swapped: !swapped };
    return random() < 0.5 ? { swapped } : { swapped, value: instead };
  }
}

test.each([
  ["values", PLAIN],
  ["values and versions", VERSIONED],
])("decides 10,000 small histories of %s as the twin does that tries every order", async (_, kinds) => {
  const verdicts = { ok: 0, illegal: 0, undecided: 0 };
  for (let seed = 0; seed < 10_000; seed++) {
    const history = randomHistory(seed, kinds);
    const result = await checkLinearizable(history, keyValueModel);
    const expected = isLinearizable(history) ? "ok" : "illegal";
    if (result.verdict !== expected)
      expect({ seed, history, verdict: result.verdict }).toEqual({ seed, verdict: expected });
    verdicts[result.verdict]++;
    if (result.verdict !== "illegal") continue;
    for (const { prefix, culprit, completed, isShortest } of result.violations) {
      const returned = prefix.filter(({ outcome }) => outcome === "ok");
      returned.sort((one, other) => (one.return ?? 0) - (other.return ?? 0));
      // What had not returned by its end may have happened or not; without the last return all is well.
      const asOf = (count: number) =>
        prefix.map((call): Call => (returned.indexOf(call) < count ? call : { ...call, outcome: "unknown" }));
      expect(returned[completed - 1]).toBe(culprit);
      expect(
        [isShortest, isLinearizable(asOf(completed)), isLinearizable(asOf(completed - 1))],
        `seed ${seed}`,
      ).toEqual([true, false, true]);
    }
  }
  // Neither is rare.
  expect(verdicts.ok).toBeGreaterThan(2_000);
  expect(verdicts.illegal).toBeGreaterThan(2_000);
  expect(verdicts.undecided).toBe(0);
});
