import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FaultTable } from "../../src/actors/faults.ts";
import { Network } from "../../src/actors/network.ts";
import { type Delivery, decodeFrames, encodeFrames, type Packet } from "../../src/actors/wire.ts";
import type { Message } from "../../src/raft/message.ts";

const PEERS = ["a", "b", "c"];

/** What a test sees of a delivery: of a packet the terms of its messages, which the tests use as their names. */
type Seen = { at: number; to: string } & (
  | { from: string; terms: number[]; toIncarnation: number }
  | { down: string; incarnation: number }
  | { unreachable: string }
);

/** Time that stands still until it is moved. */
class FakeTime {
  now = 0;
  /** How often something was cancelled, due or not. */
  cancelled = 0;
  #tasks: { at: number; run: () => void }[] = [];

  readonly schedule = (delayMs: number, run: () => void) => {
    const task = { at: this.now + delayMs, run };
    this.#tasks.push(task);
    return () => {
      this.cancelled++;
      this.#tasks = this.#tasks.filter((other) => other !== task);
    };
  };

  get pending(): number {
    return this.#tasks.length;
  }

  /** Moves on by so much, and runs what is due on the way in order. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.#tasks.reduce<{ at: number; run: () => void } | undefined>(
        (first, task) => (task.at <= end && (first === undefined || task.at < first.at) ? task : first),
        undefined,
      );
      if (next === undefined) break;
      this.#tasks.splice(this.#tasks.indexOf(next), 1);
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }
}

function request(term: number): Message {
  return { type: "RequestVote", term, lastLogIndex: 0, lastLogTerm: 0 };
}

function reply(term: number): Message {
  return { type: "RequestVoteReply", term, voteGranted: true };
}

const REQUEST_BYTES = encodeFrames([request(1)]).byteLength;
const REPLY_BYTES = encodeFrames([reply(1)]).byteLength;

function setUp({ seed = 1 } = {}) {
  const time = new FakeTime();
  const faults = new FaultTable(PEERS);
  const deliveries: { to: string; delivery: Delivery }[] = [];
  const seen: Seen[] = [];
  const hooks = { onDelivery: () => {} };
  const network = new Network({
    peers: PEERS,
    faults,
    seed,
    schedule: time.schedule,
    deliver: (to, delivery) => {
      deliveries.push({ to, delivery });
      seen.push(see(time.now, to, delivery));
      hooks.onDelivery();
    },
  });
  const incarnations: Record<string, number> = { a: 1, b: 1, c: 1 };
  for (const peer of PEERS) network.up(peer, 1);
  const packet = (link: string, messages: readonly Message[]): Packet => {
    const [from = "", to = ""] = link;
    const fromIncarnation = incarnations[from] ?? 0;
    const ends = { from, to, fromIncarnation, toIncarnation: 0 };
    return { kind: "packet", group: "g", ...ends, isQuiet: false, bytes: encodeFrames(messages) };
  };
  return {
    time,
    faults,
    network,
    deliveries,
    packet,
    hooks,
    /** @param link two letters: from and to. */
    send: (link: string, ...messages: Message[]) => network.send(packet(link, messages)),
    restart: (peer: string) => {
      const incarnation = incarnations[peer] ?? 0;
      network.down(peer, incarnation);
      network.up(peer, incarnation + 1);
      incarnations[peer] = incarnation + 1;
    },
    /** What was delivered since the last call. */
    take: () => seen.splice(0),
  };
}

function see(at: number, to: string, delivery: Delivery): Seen {
  switch (delivery.kind) {
    case "packet": {
      const terms = decodeFrames(delivery.bytes).map(({ term }) => term);
      return { at, to, from: delivery.from, terms, toIncarnation: delivery.toIncarnation };
    }
    case "down":
      return { at, to, down: delivery.peer, incarnation: delivery.incarnation };
    case "unreachable":
      return { at, to, unreachable: delivery.peer };
  }
}

/** The terms of all messages delivered, in order. */
function terms(seen: readonly Seen[]): number[] {
  return seen.flatMap((one) => ("terms" in one ? one.terms : []));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

describe("a link without rules", () => {
  test("passes a packet on whole, at once, with the very bytes that were sent", () => {
    const { network, packet, deliveries, take, time } = setUp();
    const sent = packet("ab", [request(1), reply(2), request(3)]);
    network.send(sent);
    expect(take()).toEqual([{ at: 0, to: "b", from: "a", terms: [1, 2, 3], toIncarnation: 1 }]);
    expect(deliveries[0]?.delivery).toMatchObject({ kind: "packet", group: "g" });
    expect(deliveries[0]?.delivery.kind === "packet" && deliveries[0].delivery.bytes).toBe(sent.bytes);
    expect(time.pending).toBe(0);
  });

  test("is not touched by rules of other links", () => {
    const { faults, send, take } = setUp();
    faults.link("b", "a", { drop: 1 });
    faults.isolate("c");
    send("ab", request(1));
    send("ba", request(2));
    expect(terms(take())).toEqual([1]);
  });
});

describe("incarnations", () => {
  test("a packet of a sender that is not the one that is up is ignored and not counted", () => {
    const { network, packet, restart, take } = setUp();
    const old = packet("ab", [request(1)]);
    restart("a");
    take();
    network.send(old);
    network.down("a", 2);
    take();
    network.send(packet("ab", [request(2)]));
    expect(take()).toEqual([]);
    expect(network.counters().rpcs).toBe(0);
  });

  test("a packet for an incarnation of the addressee that is gone is lost", () => {
    const { network, packet, restart, take } = setUp();
    restart("b");
    take();
    network.send({ ...packet("ab", [request(1)]), toIncarnation: 1 });
    network.send({ ...packet("ab", [request(2)]), toIncarnation: 2 });
    expect(terms(take())).toEqual([2]);
  });

  test("a sender that addresses an incarnation that is gone is told so, unless the way back is blocked", () => {
    const { faults, network, packet, restart, take } = setUp();
    faults.isolate("a");
    restart("b");
    expect(take()).toEqual([{ at: 0, to: "c", down: "b", incarnation: 1 }]);
    faults.connect("a");
    network.send({ ...packet("ab", [request(1)]), toIncarnation: 1 });
    expect(take()).toEqual([{ at: 0, to: "a", down: "b", incarnation: 1 }]);
    faults.link("b", "a", { blocked: true });
    network.send({ ...packet("ab", [request(2)]), toIncarnation: 1 });
    expect(take()).toEqual([]);
  });

  test("what is under way to a peer does not survive its restart, whether the sender knew it or not", () => {
    const { faults, network, packet, restart, take, time } = setUp();
    faults.all({ delayMs: [10, 10] });
    network.send(packet("ab", [request(1)]));
    network.send({ ...packet("ab", [request(2)]), toIncarnation: 1 });
    restart("b");
    time.pass(20);
    expect(terms(take())).toEqual([]);
  });

  test("what is under way from a peer does not survive it either", () => {
    const { faults, network, send, take, time } = setUp();
    faults.link("a", "b", { delayMs: [10, 10] });
    send("ab", request(1), reply(2));
    network.down("a", 1);
    time.pass(20);
    expect(terms(take())).toEqual([]);
  });

  test("must ascend", () => {
    const { network } = setUp();
    expect(() => network.up("a", 2)).toThrow('"a" starts as 2');
    network.down("a", 1);
    expect(() => network.up("a", 1)).toThrow('"a" starts as 1');
  });
});

describe("the death of a peer", () => {
  test("is told to every other peer that lives, and is no RPC", () => {
    const { network, take } = setUp();
    network.down("c", 1);
    take();
    network.down("a", 1);
    expect(take()).toEqual([{ at: 0, to: "b", down: "a", incarnation: 1 }]);
    expect(network.counters()).toMatchObject({ rpcs: 0, bytes: 0 });
  });

  test("is told once, and not after a new start", () => {
    const { network, restart, take } = setUp();
    restart("a");
    take();
    network.down("a", 1);
    expect(take()).toEqual([]);
  });

  test("is not told over a blocked link", () => {
    const { faults, network, take } = setUp();
    faults.link("a", "b", { blocked: true });
    faults.link("c", "a", { blocked: true });
    network.down("a", 1);
    expect(take()).toEqual([{ at: 0, to: "c", down: "a", incarnation: 1 }]);
  });

  test("takes as long as a message, and is lost when the link is blocked meanwhile", () => {
    const { faults, network, take, time } = setUp();
    faults.all({ delayMs: [10, 10] });
    network.down("a", 1);
    faults.link("a", "b", { blocked: true });
    time.pass(20);
    expect(take()).toEqual([{ at: 10, to: "c", down: "a", incarnation: 1 }]);
  });

  test("is not told to one that started after it", () => {
    const { faults, network, restart, take, time } = setUp();
    faults.link("a", "b", { delayMs: [10, 10] });
    network.down("a", 1);
    restart("b");
    take();
    time.pass(20);
    expect(take()).toEqual([]);
  });
});

describe("a rule", () => {
  test("that blocks the link when a message is sent loses it", () => {
    const { faults, send, take, time } = setUp();
    faults.partition(["a"]);
    send("ab", request(1));
    faults.heal();
    time.pass(10_000);
    expect(take()).toEqual([]);
  });

  test("that blocks the link when a message is to be delivered loses it", () => {
    const { faults, send, take, time } = setUp();
    faults.all({ delayMs: [10, 10] });
    send("ab", request(1));
    send("cb", request(2));
    faults.isolate("a");
    time.pass(20);
    expect(terms(take())).toEqual([2]);
  });

  test("that delays holds each message for a time between its bounds", () => {
    const { faults, send, take, time } = setUp();
    faults.all({ delayMs: [10, 20] });
    send("ab", ...upTo(200).map(request));
    time.pass(100);
    const seen = take();
    expect(terms(seen).sort((x, y) => x - y)).toEqual(upTo(200));
    const times = seen.map(({ at }) => at);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...times)).toBeLessThanOrEqual(20);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(5);
  });

  test("that drops loses about as many messages as it says, each by itself", () => {
    const { faults, send, take } = setUp();
    faults.all({ drop: 0.25 });
    for (let packet = 0; packet < 400; packet++) send("ab", ...upTo(10).map(request));
    const lost = 1 - terms(take()).length / 4_000;
    expect(lost).toBeCloseTo(0.25, 1);
  });

  test("that drops all lets nothing through", () => {
    const { faults, send, take } = setUp();
    faults.all({ drop: 1 });
    send("ab", ...upTo(100).map(request));
    expect(take()).toEqual([]);
  });

  test("that duplicates brings the copy right behind the message, in the same packet", () => {
    const { faults, send, take } = setUp();
    faults.all({ duplicate: 1 });
    send("ab", request(1), reply(2));
    expect(take()).toEqual([{ at: 0, to: "b", from: "a", terms: [1, 1, 2, 2], toIncarnation: 1 }]);
  });

  test("that duplicates and delays gives the copy a time and a buffer of its own", () => {
    const { faults, send, deliveries, take, time } = setUp();
    faults.all({ duplicate: 1, delayMs: [1, 100] });
    send("ab", request(1));
    time.pass(100);
    expect(terms(take())).toEqual([1, 1]);
    const buffers = deliveries.map(({ delivery }) => delivery.kind === "packet" && delivery.bytes.buffer);
    expect(new Set(buffers).size).toBe(2);
  });

  test("that reorders holds some back for up to 20 ms, so that later ones overtake them", () => {
    const { faults, send, take, time } = setUp();
    faults.all({ reorder: 0.5 });
    send("ab", ...upTo(100).map(request));
    const first = take();
    expect(first).toHaveLength(1);
    time.pass(20);
    const all = terms([...first, ...take()]);
    expect(all).not.toEqual(upTo(100));
    expect([...all].sort((x, y) => x - y)).toEqual(upTo(100));
  });

  test("keeps together and in order what shares a fate", () => {
    const { faults, send, take, time } = setUp();
    faults.all({ delayMs: [10, 10] });
    send("ab", request(1), request(2));
    send("ab", request(3));
    time.pass(10);
    expect(take()).toEqual([
      { at: 10, to: "b", from: "a", terms: [1, 2], toIncarnation: 1 },
      { at: 10, to: "b", from: "a", terms: [3], toIncarnation: 1 },
    ]);
  });

  test("that neither delays nor reorders keeps the order of what it lets through", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }), (seed, sizes) => {
        const { faults, send, take } = setUp({ seed });
        faults.all({ drop: 0.3, duplicate: 0.3 });
        let term = 0;
        for (const size of sizes) send("ab", ...upTo(size).map(() => request(++term)));
        const got = terms(take());
        expect(got).toEqual([...got].sort((x, y) => x - y));
      }),
    );
  });
});

describe("the counters", () => {
  test("count requests when they are sent and replies when they are delivered", () => {
    const { faults, network, send } = setUp();
    send("ab", request(1), request(2));
    send("ba", reply(1));
    faults.isolate("c");
    send("ac", request(1));
    send("ca", reply(1), request(1));
    expect(network.counters()).toEqual({
      rpcs: 4,
      bytes: 4 * REQUEST_BYTES + REPLY_BYTES,
      byType: {
        PreVote: 0,
        PreVoteReply: 0,
        RequestVote: 4,
        RequestVoteReply: 1,
        AppendEntries: 0,
        AppendEntriesReply: 0,
        InstallSnapshot: 0,
        InstallSnapshotReply: 0,
        ReadIndex: 0,
        ReadIndexReply: 0,
      },
      byPeer: {
        a: { rpcs: 3, bytes: 3 * REQUEST_BYTES, received: 0 },
        b: { rpcs: 0, bytes: REPLY_BYTES, received: 2 },
        c: { rpcs: 1, bytes: REQUEST_BYTES, received: 0 },
      },
    });
  });

  test("count what is sent to the dead", () => {
    const { network, send } = setUp();
    network.down("b", 1);
    send("ab", request(1));
    expect(network.counters()).toMatchObject({ rpcs: 1, bytes: REQUEST_BYTES, byPeer: { b: { received: 0 } } });
  });

  test("count copies where they arrive, but as one request sent", () => {
    const { faults, network, send } = setUp();
    faults.all({ duplicate: 1 });
    send("ab", request(1), reply(1));
    expect(network.counters()).toMatchObject({
      rpcs: 1,
      bytes: REQUEST_BYTES + 2 * REPLY_BYTES,
      byPeer: { b: { received: 2 } },
    });
  });

  test("that were handed out do not change", () => {
    const { network, send } = setUp();
    const before = network.counters();
    send("ab", request(1));
    expect(before).toMatchObject({ rpcs: 0, byType: { RequestVote: 0 }, byPeer: { a: { rpcs: 0 } } });
  });
});

describe("the network of the lab", () => {
  test("passes on whole and at once while it is reliable", () => {
    const { faults, network, packet, deliveries } = setUp();
    faults.labrpc({ longDelays: true });
    const sent = packet("ab", [request(1), reply(2)]);
    network.send(sent);
    expect(deliveries).toEqual([{ to: "b", delivery: { ...sent, toIncarnation: 1 } }]);
    expect(deliveries[0]?.delivery.kind === "packet" && deliveries[0].delivery.bytes).toBe(sent.bytes);
  });

  test.each([
    [false, 100],
    [true, 7_000],
  ])("tells who called a blocked or dead peer, with long delays %s within %i ms", (longDelays, limit) => {
    const { faults, network, send, take, time } = setUp();
    faults.labrpc({ longDelays });
    faults.link("a", "b", { blocked: true });
    network.down("c", 1);
    take();
    for (let call = 0; call < 50; call++) {
      send("ab", request(1));
      send("ac", request(1));
    }
    time.pass(limit);
    const seen = take();
    expect(seen.filter((one) => "unreachable" in one && one.to === "a" && one.unreachable === "b")).toHaveLength(50);
    expect(seen.filter((one) => "unreachable" in one && one.to === "a" && one.unreachable === "c")).toHaveLength(50);
    expect(seen.at(-1)?.at).toBeGreaterThan(0.8 * limit);
  });

  test("delays requests by up to 26 ms each, and tells the caller of each that is dropped", () => {
    const { faults, send, take, time } = setUp();
    faults.labrpc({ unreliable: true });
    send("ab", ...upTo(2_000).map(request));
    time.pass(26);
    const seen = take();
    const lost = seen.filter((one) => "unreachable" in one);
    expect(terms(seen).length + lost.length).toBe(2_000);
    expect(lost.length / 2_000).toBeCloseTo(0.1, 1);
    expect(lost.every((one) => one.to === "a" && "unreachable" in one && one.unreachable === "b")).toBe(true);
    expect(time.pending).toBe(0);
  });

  test("tells the caller, not the one who answers, that a reply is lost", () => {
    const { faults, send, take } = setUp();
    faults.labrpc({ unreliable: true });
    send("ba", ...upTo(200).map(reply));
    const seen = take();
    const lost = seen.filter((one) => "unreachable" in one);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.every((one) => one.to === "a" && "unreachable" in one && one.unreachable === "b")).toBe(true);
    expect(terms(seen).length + lost.length).toBe(200);
  });

  test("tells the caller at once that a reply cannot be delivered", () => {
    const { faults, send, take } = setUp();
    faults.labrpc({ longDelays: true });
    faults.isolate("b");
    send("ba", ...upTo(5).map(reply));
    expect(take()).toEqual(upTo(5).map(() => ({ at: 0, to: "a", unreachable: "b" })));
  });

  test("does not bring the news of a death to those who were cut off when it happened", () => {
    const { faults, network, take, time } = setUp();
    faults.labrpc({ unreliable: true });
    faults.isolate("a");
    network.down("a", 1);
    faults.heal();
    time.pass(1_000);
    expect(take()).toEqual([]);
  });

  test("holds most replies back for long, but no request", () => {
    const { faults, send, take, time } = setUp();
    faults.labrpc({ longReordering: true });
    send("ab", ...upTo(100).map(request));
    expect(terms(take())).toHaveLength(100);
    send("ba", ...upTo(900).map(reply));
    const atOnce = terms(take()).length;
    expect(atOnce / 900).toBeCloseTo(1 / 3, 1);
    time.pass(199);
    expect(take()).toEqual([]);
    time.pass(2_000);
    expect(terms(take())).toHaveLength(900 - atOnce);
  });

  test("answers no call with a reply of one that has been restarted meanwhile, or behind a cut", () => {
    const { faults, restart, send, take, time } = setUp();
    faults.labrpc({ longReordering: true });
    send("ba", ...upTo(100).map(reply));
    send("ca", ...upTo(100).map(reply));
    restart("b");
    faults.isolate("c");
    take();
    time.pass(2_200);
    const seen = take();
    expect(terms(seen)).toEqual([]);
    const unreachable = new Set(seen.map((one) => ("unreachable" in one ? one.unreachable : undefined)));
    expect(unreachable).toEqual(new Set(["b", "c"]));
  });

  test("tells nothing to a caller that was restarted meanwhile", () => {
    const { faults, restart, send, take, time } = setUp();
    faults.labrpc({ longDelays: true });
    faults.isolate("b");
    send("ab", request(1));
    restart("a");
    take();
    time.pass(7_000);
    expect(take()).toEqual([]);
  });

  test("is the only one that tells of lost messages", () => {
    const { faults, network, send, take, time } = setUp();
    faults.isolate("b");
    network.down("c", 1);
    take();
    send("ab", request(1));
    send("ac", request(1));
    time.pass(10_000);
    expect(take()).toEqual([]);
  });
});

describe("chance", () => {
  /** Everything that happens when these packets are sent under these rules. */
  function run(seed: number, links: readonly string[]): Seen[] {
    const { faults, send, take, time } = setUp({ seed });
    faults.all({ drop: 0.2, duplicate: 0.2, reorder: 0.3, delayMs: [0, 5] });
    faults.labrpc({ unreliable: true, longReordering: true });
    links.forEach((link, at) => {
      send(link, request(at), reply(at), request(at));
      time.pass(3);
    });
    time.pass(5_000);
    return take();
  }

  const links = fc.array(fc.constantFrom("ab", "ac", "ba", "bc", "ca", "cb"), { minLength: 1, maxLength: 30 });

  test("deals the same fates for the same seed", () => {
    fc.assert(
      fc.property(fc.integer(), links, (seed, sent) => {
        expect(run(seed, sent)).toEqual(run(seed, sent));
      }),
    );
  });

  test("deals other fates for another seed", () => {
    const sent = Array.from({ length: 20 }, () => "ab");
    expect(run(1, sent)).not.toEqual(run(2, sent));
  });

  test("deals other fates to another link", () => {
    const { faults, send, take } = setUp();
    faults.all({ drop: 0.5 });
    send("ab", ...upTo(50).map(request));
    const there = terms(take());
    send("ba", ...upTo(50).map(request));
    expect(terms(take())).not.toEqual(there);
  });

  test("deals to each link by itself, so that traffic elsewhere changes nothing", () => {
    const onlyAb = (seen: readonly Seen[]) =>
      seen.flatMap((one) => ("terms" in one && one.from === "a" && one.to === "b" ? one.terms : []));
    const drops = (sent: readonly string[]) => {
      const { faults, send, take } = setUp();
      faults.all({ drop: 0.5 });
      for (const link of sent) send(link, ...upTo(50).map(request));
      return onlyAb(take());
    };
    expect(drops(["ab", "ab"])).toEqual(drops(["ba", "ab", "ca", "ac", "ab", "cb"]));
  });
});

describe("what is under way", () => {
  test("is forgotten as soon as it has arrived or is lost", () => {
    const { faults, restart, send, time } = setUp();
    faults.all({ delayMs: [1, 10], duplicate: 0.5 });
    for (let round = 0; round < 20; round++) {
      send("ab", ...upTo(10).map(request));
      restart("b");
    }
    expect(time.pending).toBeGreaterThan(0);
    time.pass(10);
    expect(time.pending).toBe(0);
  });

  test("is all that is cancelled when the network is closed", () => {
    const { faults, network, send, time } = setUp();
    faults.all({ delayMs: [10, 10] });
    send("ab", request(1));
    time.pass(10);
    send("ab", request(2));
    network.close();
    expect(time.cancelled).toBe(1);
  });

  test("does not grow any more when the one who takes a delivery closes the network", () => {
    const { faults, network, send, hooks, take, time } = setUp();
    hooks.onDelivery = () => network.close();
    faults.all({ reorder: 0.5 });
    send("ab", ...upTo(50).map(request));
    expect(take()).toHaveLength(1);
    expect(time.pending).toBe(0);
  });

  test("ends with the network, and nothing begins after it", () => {
    const { faults, network, send, take, time } = setUp();
    faults.labrpc({ longDelays: true });
    faults.all({ delayMs: [10, 10] });
    send("ab", request(1));
    faults.isolate("c");
    send("ac", request(1));
    expect(time.pending).toBe(2);
    network.close();
    expect(time.pending).toBe(0);
    faults.heal();
    send("ab", request(2));
    network.down("a", 1);
    time.pass(10_000);
    expect(take()).toEqual([]);
    expect(network.counters().rpcs).toBe(2);
  });
});
