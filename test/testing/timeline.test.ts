import { expect, test } from "vitest";
import { spawnCluster } from "../../src/testing/cluster.ts";
import { timeline } from "../../src/testing/timeline.ts";

test("A timeline has a column a peer, and in it what became of the peer", async () => {
  const lines: string[] = [];
  const cluster = await spawnCluster({ snapshotEvery: 0, trace: true });
  const written = timeline(cluster, (line) => lines.push(line));
  const leader = await cluster.checkOneLeader();
  const follower = cluster.peers.find(({ id }) => id !== leader.id);
  if (follower === undefined) throw new Error("a cluster of one");
  await cluster.one({ op: "put", key: "x", value: 1 }, 3, { retry: true });
  await follower.snapshot();
  await cluster.crash(follower.id);
  await cluster.restart(follower.id);
  await cluster.connect(follower.id);
  const last = await cluster.one({ op: "put", key: "x", value: 2 }, 3, { retry: true });
  await cluster.stop();
  await written;

  const [heading = "", ...rest] = lines;
  expect(heading.trim().split(/ +/)).toEqual(["seconds", "p1", "p2", "p3"]);
  const column = (id: string) => {
    const at = heading.indexOf(id);
    return rest
      .filter((line) => /^[\d.]+ +$/.test(line.slice(0, at)) && line[at] !== " ")
      .map((line) => line.slice(at));
  };
  expect(cluster.peers.flatMap(({ id }) => column(id)).length).toBe(rest.length);
  expect(column(leader.id)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^commits to /), expect.stringMatching(/^appends /), "** down"]),
  );
  const happened = column(follower.id);
  expect(happened.filter((text) => /^(\*\* (crash|up)|-- )/.test(text))).toEqual([
    ...happened.filter((text) => text === "** up, life 1"),
    "-- cut off",
    "** crash",
    "** up, life 2",
    "-- reaches all",
  ]);
  expect(happened.filter((text) => /^snapshot \d+, \d+ B$/.test(text)).length).toBe(1);
  expect(happened.some((text) => text.startsWith("applies") && text.endsWith(String(last)))).toBe(true);
});
