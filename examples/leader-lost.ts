import { spawnCluster } from "flotilla/testing";

const cluster = await spawnCluster({ peers: 5 });
try {
  await cluster.one({ op: "put", key: "a", value: 1 }, 5); // returns when all five have applied it

  const old = await cluster.checkOneLeader();
  await cluster.disconnect(old.id);
  const leader = await cluster.checkOneLeader();
  await cluster.one({ op: "put", key: "a", value: 2 }, 4);

  await cluster.connect(old.id); // which may still take a command, and then lose it to the new leader's log
  await cluster.one({ op: "put", key: "a", value: 3 }, 5, { retry: true });
  console.log(old.id !== leader.id, await old.query({ op: "get", key: "a" }, { consistency: "local" }));
} finally {
  await cluster.stop();
}
