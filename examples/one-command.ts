import { Supervisor } from "flotilla";

const supervisor = await Supervisor.start({ peers: 3, trace: "applied" });
try {
  const events = supervisor.events();
  const command = { op: "put", key: "greeting", value: "hello" };
  const { index } = await supervisor.propose(command, {
    onAppended: () => console.log("the leader has it in its log"),
  });
  console.log("a majority has it on disk, and the leader has applied it");

  const applied = new Set<string>();
  for await (const event of events) {
    if (event.type === "applied" && event.entries.some((entry) => entry.index === index)) applied.add(event.peer);
    if (applied.size === 3) break;
  }
  console.log(`${[...applied].sort().join(", ")} have applied it`);
} finally {
  await supervisor.stop();
}
