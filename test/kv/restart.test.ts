import { expect, test } from "vitest";
import type { SupervisorOptions } from "../../src/actors/options.ts";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { KvClient } from "../../src/kv/client.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { PATIENT, startPatient, temporaryFolder } from "../actors/fixtures/cluster.ts";

/** What is tested is what the peers make of their stores, and not whether these are sound. */
function start(options: SupervisorOptions): Promise<Supervisor> {
  return startPatient({ restart: false, verify: false, ...options });
}

/** Lets all that runs end at once, as when the app's process dies: what is under way stays in the logs as it is. */
async function die(supervisor: Supervisor): Promise<void> {
  await Promise.all(supervisor.peers.map((peer) => peer.crash()));
  await supervisor.stop();
}

test("an app that is started again finds each command of its former life once at most, and those it heard of once", async () => {
  const directory = temporaryFolder();
  const heard: string[] = [];
  const doubtful: string[] = [];
  for (let life = 1; life <= 2; life++) {
    const supervisor = await start({ directory, snapshotEvery: 40 });
    const kv = new KvClient(supervisor);
    await kv.append("log", `${life} begins `, PATIENT);
    heard.push(`${life} begins `);
    const calls = Array.from({ length: 60 }, async (_, at) => {
      const text = `${life}.${at} `;
      try {
        await kv.append("log", text);
        heard.push(text);
      } catch (error) {
        if (!(error instanceof RaftError)) throw error;
        if (error.outcome === "unknown") doubtful.push(text);
      }
    });
    // Some have an answer by then, some have not been sent.
    await Promise.race(calls.slice(0, 20 * life));
    await die(supervisor);
    await Promise.all(calls);
  }
  const supervisor = await start({ directory });
  const log = String((await new KvClient(supervisor).get("log", PATIENT))?.value);
  await supervisor.stop();
  const found = log.match(/\d( begins|\.\d+) /g) ?? [];
  expect(found.join("")).toBe(log);
  expect(new Set(found).size).toBe(found.length);
  expect(found).toEqual(expect.arrayContaining(heard));
  expect([...heard, ...doubtful]).toEqual(expect.arrayContaining(found));
});

test("a command that is marked in the same transaction is carried out once, though the app dies and sends it again", async () => {
  const directory = temporaryFolder();
  const send = (kv: KvClient) =>
    kv.txn(
      [
        { op: "put", key: "done/order-42", value: true },
        { op: "append", key: "sold", value: "apples " },
      ],
      { ...PATIENT, checks: [{ key: "done/order-42", version: 0 }] },
    );
  const first = await start({ directory });
  const sent = send(new KvClient(first)).catch(() => {});
  // It ends before it hears what became of the command.
  await new Promise((resolve) => setImmediate(resolve));
  await die(first);
  await sent;
  const second = await start({ directory });
  const kv = new KvClient(second);
  await send(kv);
  expect(await send(kv)).toMatchObject({ ok: false, conflict: { key: "done/order-42", version: 1 } });
  expect((await kv.get("sold", PATIENT))?.value).toBe("apples ");
  await second.stop();
});
