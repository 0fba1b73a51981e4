import { spawnCluster } from "flotilla/testing";

const put = (value: number) => ({ op: "put", key: "k", value });

const cluster = await spawnCluster({ peers: 3 });
try {
  await cluster.one(put(1), 3); // applied by all three

  const first = await cluster.checkOneLeader();
  await cluster.disconnect(first.id);
  await cluster.begin(first.id, put(2)); // into its log, and no further: it reaches nobody
  await cluster.one(put(3), 2, { retry: true }); // the others have a new leader

  const second = await cluster.checkOneLeader();
  await cluster.disconnect(second.id);
  await cluster.connect(first.id); // what it has alone must give way now
  await cluster.one(put(4), 2, { retry: true });

  await cluster.connect(second.id);
  await cluster.one(put(5), 3, { retry: true });
  console.log(`applied the lost command: ${(await cluster.appliedBy(put(2))).length} peers`);
} finally {
  await cluster.stop(); // rejects if two peers ever applied different entries at one index
}
