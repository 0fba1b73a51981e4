import { Supervisor } from "flotilla";
import type { Command } from "./counter-machine.ts";

const machine = new URL("./counter-machine.ts", import.meta.url);
const supervisor = await Supervisor.start({ peers: 3, machine });
try {
  for (const add of [1, 2, 3]) {
    const { result } = await supervisor.propose<number>({ add } satisfies Command);
    console.log(`added ${add}, which makes ${result}`);
  }
  const total = await supervisor.query<number>("total");
  console.log(`the total is ${total}`);
} finally {
  await supervisor.stop();
}
