import { expect, test } from "vitest";
import { fill } from "../../../src/cli/bench/fill.ts";

const { signal } = new AbortController();

/** A cluster whose commands fail as they are told to. */
function cluster(fails: (attempt: number) => boolean) {
  const written = new Map<string, string>();
  let attempts = 0;
  const propose = async (command: unknown) => {
    if (fails(++attempts)) throw new Error("no leader");
    const { key, value } = command as { key: string; value: string };
    written.set(key, value);
    return { index: 0, term: 0, result: undefined as never };
  };
  return { written, propose };
}

test("what is filled is all there, though commands were lost on the way", async () => {
  const { written, propose } = cluster((attempt) => attempt % 3 === 0);
  await fill({ signal }, { propose }, { keys: 50, bytes: 20 });
  expect(written.size).toBe(50);
  expect(new Set(written.values()).size).toBe(50);
  for (const value of written.values()) expect(value).toHaveLength(20);
});

test("a cluster that takes nothing is given up, so that nothing is measured of it", async () => {
  const { propose } = cluster(() => true);
  await expect(fill({ signal }, { propose }, { keys: 50, bytes: 20 })).rejects.toThrow("no leader");
});
