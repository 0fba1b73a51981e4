import { Supervisor } from "flotilla";
import {
  checkLinearizable,
  explain,
  formatHistory,
  History,
  type KeyValueInput,
  keyValueModel,
} from "flotilla/testing";

const supervisor = await Supervisor.start({ peers: 3 });
const history = new History<KeyValueInput, unknown>();

async function client(name: string): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    const append: KeyValueInput = { op: "append", key: "k", value: `${name}${turn} ` };
    const get: KeyValueInput = { op: "get", key: "k" };
    // A call that rejects is part of the history too: as failed, or as one of unknown outcome.
    await history.record(name, append, async () => (await supervisor.propose(append)).result).catch(() => {});
    await history.record(name, get, () => supervisor.query(get)).catch(() => {});
  }
}

try {
  const clients = ["a", "b", "c"].map(client);
  const leader = await supervisor.leader();
  await leader.crash();
  await Promise.all(clients);
} finally {
  await supervisor.stop();
}

const result = await checkLinearizable(history, keyValueModel);
console.log(`${formatHistory(history).split("\n").length - 1} calls: ${result.verdict}`);
if (result.verdict === "illegal") {
  for (const violation of result.violations) console.log(explain(violation, keyValueModel));
}
