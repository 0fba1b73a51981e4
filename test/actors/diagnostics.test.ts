import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { EventDiagnostic, ProposeDiagnostic } from "../../src/actors/diagnostics.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { othersOf, PATIENT, Recorder, raftError } from "./fixtures/cluster.ts";

const PUT = { op: "put", key: "k", value: 1 } as const;

/** What is published while proposals are traced, until the test has finished. */
function trace(): { readonly name: string; readonly message: ProposeDiagnostic }[] {
  const published: { name: string; message: ProposeDiagnostic }[] = [];
  const take = (name: string) => (message: unknown) => {
    published.push({ name, message: message as ProposeDiagnostic });
  };
  const subscribers = {
    start: take("start"),
    end: take("end"),
    asyncStart: take("asyncStart"),
    asyncEnd: take("asyncEnd"),
    error: take("error"),
  };
  const channel = tracingChannel("flotilla:propose");
  channel.subscribe(subscribers);
  onTestFinished(() => {
    channel.unsubscribe(subscribers);
  });
  return published;
}

describe("the channels of node:diagnostics_channel", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await Supervisor.start({ electionMs: [1_000, 2_000] });
    return () => supervisor.stop();
  });

  it("flotilla:event has every event, and whose it is", async () => {
    const published: EventDiagnostic[] = [];
    const take = (message: unknown) => published.push(message as EventDiagnostic);
    subscribe("flotilla:event", take);
    onTestFinished(() => {
      unsubscribe("flotilla:event", take);
    });
    const recorder = new Recorder(supervisor);
    const leader = await supervisor.leader();
    const [follower] = othersOf(supervisor, leader);
    await follower?.pause();
    await follower?.resume();
    await recorder.wait("resumed");
    expect(recorder.all("paused")).toEqual([{ type: "paused", peer: follower?.id }]);
    expect(published.map(({ event }) => event)).toEqual(recorder.events);
    expect(published.every((message) => message.supervisor === supervisor)).toBe(true);
  });

  it("flotilla:propose tells of a command before it is handed over, and with its result afterwards", async () => {
    const published = trace();
    const proposed = await supervisor.propose(PUT, PATIENT);
    expect(published.map(({ name }) => name)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    const [first] = published;
    expect(published.every(({ message }) => message === first?.message)).toBe(true);
    expect(first?.message).toMatchObject({ command: PUT, peer: undefined, result: proposed });
    expect(first?.message.supervisor).toBe(supervisor);
  });

  it("flotilla:propose tells of a command that was refused, with its error and the peer that was asked", async () => {
    const [follower] = othersOf(supervisor, await supervisor.leader());
    const published = trace();
    const error = await raftError(follower?.propose(PUT, PATIENT) ?? Promise.resolve());
    expect(published.map(({ name }) => name)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
    expect(published[0]?.message).toMatchObject({ command: PUT, peer: follower?.id });
    expect(published[0]?.message.error).toBe(error);
  });
});
