import { simulate } from "flotilla/testing";

const machine = new URL("./tickets-machine.ts", import.meta.url);
const report = await simulate({ machine, seeds: [1, 200], forMs: 20_000 });

for (const { seed, result, replay, faults, trace } of report.failures) {
  console.log(trace.slice(-20).join("\n"));
  console.log(faults.join("\n"));
  console.log(`seed ${seed}: ${result.violation?.message}`);
  console.log(`flotilla simulate --machine examples/tickets-machine.ts ${replay}`);
}
