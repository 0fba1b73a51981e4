import { simulate } from "flotilla/testing";

const machine = new URL("./tickets-machine.ts", import.meta.url);
const report = await simulate({ machine, seeds: [1, 200], forMs: 10_000 });

// Whatever else failed by then: the first one was shrunk.
const [failure] = report.failures;
if (failure !== undefined) {
  const { seed, result, replay, faults, trace } = failure;
  console.log(trace.slice(-20).join("\n"));
  console.log(faults.join("\n"));
  console.log(`seed ${seed}: ${result.violation?.message}`);
  console.log(`flotilla simulate --machine examples/tickets-machine.ts ${replay}`);
}
