import { RaftError, Supervisor } from "flotilla";
import type { Command, Query } from "./inventory-machine.ts";

const machine = new URL("./inventory-machine.ts", import.meta.url);
const supervisor = await Supervisor.start({ peers: 3, machine, snapshotEvery: 1_000 });
try {
  await supervisor.propose({ op: "receive", item: "bolt", count: 10 } satisfies Command);
  const { result } = await supervisor.propose<number>({ op: "ship", item: "bolt", count: 4 } satisfies Command);
  console.log(`${result} bolts are left`);

  try {
    await supervisor.propose({ op: "ship", item: "bolt", count: 7 } satisfies Command);
  } catch (error) {
    if (!(error instanceof RaftError) || error.code !== "ERR_MACHINE_THREW") throw error;
    console.log(`refused, on every peer alike: ${error.message}`);
  }

  const leader = await supervisor.leader();
  await leader.snapshot(); // by hand, for the show; else every `snapshotEvery` entries
  await leader.crash();
  await leader.start(); // begins with its snapshot, and applies what came after it
  console.log("the old leader is back");
  console.log(`${await supervisor.query<number>({ item: "bolt" } satisfies Query)} bolts are left`);
} finally {
  await supervisor.stop();
}
