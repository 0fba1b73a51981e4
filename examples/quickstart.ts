import { Supervisor } from "flotilla";

const supervisor = await Supervisor.start({ peers: 3, directory: "./data" });
try {
  const { index, term } = await supervisor.propose({ op: "put", key: "greeting", value: "hello" });
  console.log(`committed at index ${index} in term ${term}`);

  const leader = await supervisor.leader();
  await leader.crash(); // its thread is dead now, and comes back from its store by itself
  console.log(`killed ${leader.id}, the leader`);

  const value = await supervisor.query({ op: "get", key: "greeting" });
  console.log(`the new leader says ${value}`);
} finally {
  await supervisor.stop();
}
