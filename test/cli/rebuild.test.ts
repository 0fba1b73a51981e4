import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { flotilla } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { allUp, startCluster, temporaryFolder } from "../actors/fixtures/cluster.ts";

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  const out: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0);
  try {
    const code = await flotilla(["rebuild", ...args]);
    return { code, out: out.join("") };
  } finally {
    write.mockRestore();
  }
}

test("rebuild says whose log the peer has now, and the cluster has all its peers again", async () => {
  const directory = join(temporaryFolder(), "cluster");
  const cluster = await startCluster({ directory });
  await allUp(cluster);
  await cluster.stop();
  rmSync(join(directory, "p2"), { recursive: true });
  const { code, out } = await run(directory, "p2");
  expect(code).toBe(0);
  expect(out).toMatch(/^p2 has the log of p[13], to entry \d+, and term \d+\n$/);
  await allUp(await startCluster({ directory }));
});

test("rebuild wants a directory and a peer, and has a help", async () => {
  await expect(run()).rejects.toThrow(UsageError);
  await expect(run("somewhere")).rejects.toThrow(UsageError);
  expect((await run("--help")).out).toContain("flotilla rebuild <directory> <peer>");
});
