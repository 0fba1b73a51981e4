import { Supervisor } from "flotilla";
import { KvClient } from "flotilla/kv";

const supervisor = await Supervisor.start({ peers: 3 });
try {
  const kv = new KvClient(supervisor, { name: "shop" });
  await kv.put("stock/apples", 10);

  // Two clients read the same version, and one of them may write it.
  const apples = await kv.get("stock/apples");
  const version = apples?.version ?? 0;
  const puts = await Promise.all([kv.put("stock/apples", 9, { version }), kv.put("stock/apples", 8, { version })]);
  console.log(`of two, ${puts.filter(({ ok }) => ok).length} sold apples`);

  // The leader dies under a command: the client sends it again, and it is carried out once.
  const leader = await supervisor.leader();
  const appended = kv.append("log", "sold ", { timeoutMs: 30_000 });
  await leader.crash();
  await appended;
  console.log(`the log says: ${(await kv.get("log", { timeoutMs: 30_000 }))?.value}`);

  // Both or neither, and who watches sees both at one index.
  const after = kv.lastSeen;
  await kv.txn([
    { op: "put", key: "stock/pears", value: 5 },
    { op: "delete", key: "stock/apples" },
  ]);
  const changes = [];
  for await (const { key, value } of kv.watch({ prefix: "stock/", after })) {
    changes.push(`${key} is ${value ?? "gone"}`);
    if (changes.length === 2) break;
  }
  console.log(changes.join(", "));

  for await (const { key, value } of kv.scan({ prefix: "stock/" })) console.log(key, value);
} finally {
  await supervisor.stop();
}
