import { expect, test } from "vitest";
import type { ClusterEvent, TraceStep } from "../../src/actors/protocol.ts";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { until } from "../soak/load.ts";
import { allUp, PATIENT, Recorder, startCluster } from "./fixtures/cluster.ts";

type TraceEvent = Extract<ClusterEvent, { type: "trace" }>;

/** What the steps of a peer's last life, alone, say about it. */
function replay(steps: readonly TraceStep[]) {
  const state = { role: "follower", currentTerm: 0, commitIndex: 0, lastIndex: 0, lastApplied: 0 };
  let votedFor: string | undefined;
  for (const step of steps) {
    switch (step.kind) {
      case "start":
        Object.assign(state, { currentTerm: step.currentTerm, lastIndex: step.lastIndex });
        state.lastApplied = step.snapshotIndex;
        state.commitIndex = step.snapshotIndex;
        votedFor = step.votedFor;
        break;
      case "role":
        if (step.currentTerm !== state.currentTerm) votedFor = undefined;
        Object.assign(state, { role: step.role, currentTerm: step.currentTerm });
        break;
      case "vote":
        votedFor = step.votedFor;
        break;
      case "commit":
        state.commitIndex = step.commitIndex;
        break;
      case "truncate":
        state.lastIndex = step.from - 1;
        break;
      case "append":
        expect(step.firstIndex).toBe(state.lastIndex + 1);
        state.lastIndex = step.lastIndex;
        break;
      case "apply":
        expect(step.firstIndex).toBe(state.lastApplied + 1);
        state.lastApplied = step.lastIndex;
        break;
    }
  }
  return { ...state, votedFor };
}

function lifeOf(events: readonly TraceEvent[], peer: string, incarnation: number): TraceStep[] {
  return events.flatMap((event) => (event.peer === peer && event.incarnation === incarnation ? event.steps : []));
}

async function agrees(supervisor: Supervisor, events: readonly TraceEvent[]): Promise<boolean> {
  for (const peer of supervisor.peers) {
    const { role, currentTerm, votedFor, commitIndex, lastIndex, lastApplied, incarnation } = await peer.status();
    const told = replay(lifeOf(events, peer.id, incarnation));
    const shown = { role, currentTerm, votedFor, commitIndex, lastIndex, lastApplied };
    if (JSON.stringify(Object.entries(told).sort()) !== JSON.stringify(Object.entries(shown).sort())) return false;
  }
  return true;
}

test("the steps of a peer's life, played again, come to what its status says", async () => {
  const supervisor = await startCluster({ trace: true });
  await allUp(supervisor);
  const recorder = new Recorder(supervisor);
  // Those that were told of before anybody listened are lost; each life that begins now is told of whole.
  for (const peer of supervisor.peers) {
    const { incarnation } = await peer.status();
    await peer.crash();
    await recorder.wait("up", (event) => event.peer === peer.id && event.incarnation > incarnation);
    await supervisor.propose({ op: "put", key: peer.id, value: 1 }, PATIENT);
  }
  await supervisor.propose({ op: "put", key: "k", value: 2 }, PATIENT);
  await until("trace and status agree", () => agrees(supervisor, recorder.all("trace")));

  for (const peer of supervisor.peers) {
    const { incarnation } = await peer.status();
    const steps = lifeOf(recorder.all("trace"), peer.id, incarnation);
    expect(steps.filter(({ kind }) => kind === "start")).toEqual([steps[0]]);
    expect(steps.map(({ at }) => at)).toEqual(steps.map(({ at }) => at).toSorted((a, b) => a - b));
  }
});

test("a message that is received was sent before, by the clock that all peers share", async () => {
  const supervisor = await startCluster({ trace: true });
  await allUp(supervisor);
  const recorder = new Recorder(supervisor);
  // Of what was sent before, the news may have come before anybody listened.
  const { index: first } = await supervisor.propose({ op: "put", key: "k", value: 0 }, PATIENT);
  for (let turn = 1; turn < 5; turn++) await supervisor.propose({ op: "put", key: "k", value: turn }, PATIENT);
  const batches = (kind: "send" | "receive") =>
    recorder.all("trace").flatMap(({ peer, steps }) =>
      steps.flatMap((step) => {
        if (step.kind !== kind || step.message.type !== "AppendEntries") return [];
        const { message, at } = step;
        if (message.lastIndex === message.prevLogIndex || message.prevLogIndex < first) return [];
        const to = step.kind === "send" ? step.to : peer;
        return [{ at, entries: `${to}: ${message.prevLogIndex + 1}..${message.lastIndex} of ${message.term}` }];
      }),
    );
  await until("a follower has told of what it received", async () => batches("receive").length > 0);
  for (const { at, entries } of batches("receive")) {
    const sent = () => batches("send").filter((other) => other.entries === entries);
    await until(`${entries} was sent`, async () => sent().length > 0);
    expect(Math.min(...sent().map((other) => other.at))).toBeLessThanOrEqual(at);
  }
});

test.each([["applied" as const], [false as const]])("with trace: %j no step is told", async (trace) => {
  const supervisor = await startCluster({ trace });
  const recorder = new Recorder(supervisor);
  await supervisor.propose({ op: "put", key: "k", value: 1 }, PATIENT);
  if (trace === "applied") await recorder.wait("applied");
  await supervisor.stop();
  await recorder.ended;
  expect(recorder.all("trace")).toEqual([]);
  expect(recorder.all("applied").length > 0).toBe(trace === "applied");
});
