import { Supervisor } from "flotilla";
import type { Command } from "./ledger-machine.ts";

const machine = new URL("./ledger-machine.ts", import.meta.url);
const supervisor = await Supervisor.start({ peers: 3, machine });
try {
  const transfer = (from: string, to: string, amount: number) =>
    supervisor.propose<number>({ from, to, amount } satisfies Command, { timeoutMs: 30_000 });
  await transfer("bank", "ann", 50);
  await transfer("ann", "bob", 20);
  await transfer("bob", "ann", 30).catch((error: Error) => console.log(`refused: ${error.message}`));

  const leader = await supervisor.leader();
  await leader.crash();
  console.log("after a crash:", await supervisor.query("", { timeoutMs: 30_000 }));
} finally {
  await supervisor.stop();
}
