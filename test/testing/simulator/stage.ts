import type { LaneReply, TraceStep } from "../../../src/actors/protocol.ts";
import { packQueries } from "../../../src/actors/queries.ts";
import { TracedRaft } from "../../../src/actors/traced-raft.ts";
import type { Packet } from "../../../src/actors/wire.ts";
import { decodeResults, pack } from "../../../src/machine/codec.ts";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import type { StateMachine } from "../../../src/machine/state-machine.ts";
import { EntryKind, packEntries, wholeOf } from "../../../src/raft/entry.ts";
import { DEFAULT_LIMITS } from "../../../src/raft/options.ts";
import { MemoryDisk, MemoryStore } from "../../../src/storage/memory.ts";
import { Checker } from "../../../src/testing/simulator/checks/checker.ts";
import { CRASH_POINTS, type CrashPoint, Killed } from "../../../src/testing/simulator/crash-points.ts";
import { drawPlan, type Plan } from "../../../src/testing/simulator/plan.ts";
import { type ArmedCrash, Process } from "../../../src/testing/simulator/process.ts";
import { SimClock } from "../../../src/testing/simulator/sim-clock.ts";
import { SimStore } from "../../../src/testing/simulator/sim-store.ts";
import { Trace } from "../../../src/testing/simulator/trace.ts";
import type { Link, Statement } from "./scenario.ts";

interface Sent extends Link {
  readonly packet: Packet;
}

interface Player {
  readonly id: string;
  readonly number: number;
  readonly clock: SimClock;
  readonly disk: MemoryDisk;
  process: Process | undefined;
  lives: number;
  isWoken: boolean;
}

/** A peer that has so much to do does not come to an end. */
const MOST_TURNS = 100;

/**
 * Plays a scenario with the shell, the stores and the checks of the simulator; but time and messages go on only when it says
 * so. @returns the trace. @throws Violation when something does not hold.
 */
export function play(statements: readonly Statement[]): string {
  const [first, ...rest] = statements;
  if (first?.verb !== "peers") throw new Error("expected the peers first");
  const stage = new Stage(first);
  for (const statement of rest) stage.play(statement);
  return stage.trace;
}

/** Its timers fire only when it is woken: what happens hangs on the scenario alone. */
class StagedRaft extends TracedRaft {
  #isWoken = () => false;

  heeding(isWoken: () => boolean): this {
    this.#isWoken = isWoken;
    return this;
  }

  override advance(now: number): void {
    if (this.#isWoken()) super.advance(now);
  }
}

class Stage {
  readonly #players: readonly Player[];
  readonly #plan: Plan;
  readonly #checker: Checker;
  readonly #lines: Trace;
  #underWay: Sent[] = [];
  readonly #sent: Sent[] = [];
  #violation: unknown;
  #now = 0;
  #nextId = 1;
  readonly #asked = new Map<number, string>();

  constructor({ count, snapshotEvery, chunkBytes }: Extract<Statement, { readonly verb: "peers" }>) {
    this.#plan = {
      ...drawPlan(1, { peers: count, forMs: 100 }),
      ...{
        heartbeatMs: 50,
        electionMs: [150, 300],
        maxClockDrift: 0,
        leases: true,
        snapshotEvery,
        chunkBytes: chunkBytes > 0 ? chunkBytes : 1 << 20,
        ownBytes: chunkBytes > 0,
      },
      // One chunk a message, or the whole.
      limits: { ...DEFAULT_LIMITS, ...(chunkBytes > 0 && { maxMessageBytes: chunkBytes }) },
      maxPendingBytes: 1 << 20,
    };
    const ids = Array.from({ length: count }, (_, at) => `p${at + 1}`);
    this.#lines = new Trace(count, 10_000);
    this.#checker = new Checker(ids, new KeyValueMap() as StateMachine, this.#plan, (violation) => {
      this.#violation ??= violation;
    });
    this.#players = ids.map((id, at) => {
      const clock = new SimClock(() => this.#now, 1);
      return { id, number: at + 1, clock, disk: new MemoryDisk(), process: undefined, lives: 0, isWoken: false };
    });
    for (const player of this.#players) this.#start(player);
  }

  get trace(): string {
    return `${this.#lines.lines.join("\n")}\n`;
  }

  play(statement: Statement): void {
    this.#lines.note(undefined, this.#now, describe(statement));
    switch (statement.verb) {
      case "wait":
        this.#now += statement.ms;
        break;
      case "deliver":
        this.#deliver(statement.links, statement.except);
        break;
      case "pass":
        for (const sent of this.#take(statement.links, statement.except)) this.#arrive(sent);
        break;
      case "drop":
        this.#take(statement.links, statement.except);
        break;
      case "repeat":
        for (const sent of this.#sent.filter((each) => isAmong(statement.links, each))) this.#arrive(sent);
        break;
      case "logs":
        this.#writeLogs();
        break;
      case "peers":
        throw new Error("the peers are there already");
      default: {
        const player = this.#players[statement.peer - 1];
        if (player !== undefined) this.#act(player, statement);
      }
    }
    if (this.#violation !== undefined) throw this.#violation;
  }

  #act(player: Player, statement: Extract<Statement, { readonly peer: number }>): void {
    const { process, clock } = player;
    if (statement.verb === "start") {
      this.#start(player);
      return;
    }
    if (process === undefined) throw new Error(`${player.id} is not up, to ${describe(statement)}`);
    switch (statement.verb) {
      case "campaign":
        clock.jump(Math.max(0, process.raft.wakeAt - clock.now()));
        this.#wake(player);
        break;
      case "wake":
        this.#wake(player);
        break;
      case "propose": {
        const command = pack({ op: "put", key: statement.key, value: statement.value });
        const packed = packEntries(EntryKind.command, [command]);
        const firstId = this.#ask(`${statement.key}=${statement.value}`);
        process.takeRequest(1, { kind: "propose", firstId, count: 1, packed, tellAppended: false });
        this.#turn(player);
        break;
      }
      case "read": {
        const query = pack({ op: "get", key: statement.key });
        const id = this.#ask(`read of ${statement.key}`);
        const { consistency } = statement;
        process.takeRequest(1, {
          kind: "query",
          firstId: id,
          count: 1,
          packed: packQueries([wholeOf(query)]),
          consistency,
          minIndex: 0,
        });
        this.#turn(player);
        break;
      }
      case "crash":
        if (statement.point === undefined) this.#bury(player, "now");
        else process.arm({ point: pointNamed(statement.point), role: undefined, skip: 0 } satisfies ArmedCrash);
        break;
      case "snapshot":
        process.shell.wantSnapshot();
        this.#turn(player);
        this.#turn(player);
        break;
    }
  }

  #ask(what: string): number {
    this.#asked.set(this.#nextId, what);
    return this.#nextId++;
  }

  #start(player: Player): void {
    const { id, disk, clock } = player;
    const voters = this.#players?.map((each) => each.id) ?? [];
    const image = this.#checker.images.get(id);
    if (image === undefined) throw new Error(`no image of ${id}`);
    const identity = { cluster: "c", peer: id, store: id };
    const store = MemoryStore.open({ disk, identity, configuration: { voters }, born: player.lives++ > 0 });
    image.checkFound(store.state);
    const machine = this.#checker.watch(new KeyValueMap() as StateMachine, `${id} (life ${player.lives})`);
    const at = (point: CrashPoint) => player.process?.at(point);
    const host = {
      ...{ at, touch: () => {}, beginWrite: () => {}, endWrite: () => {} },
      written: (save: Parameters<Checker["saved"]>[1]) => {
        if (player.process !== undefined) this.#checker.saved(player.process, save);
      },
      restoring: (index: number) => machine.beginsAt(index),
    };
    const options = {
      id,
      plan: this.#plan,
      coldStart: false,
      store: new SimStore(store, host),
      machine,
      clock,
      image,
      checker: this.#checker,
    };
    player.process = new Process(
      {
        ...options,
        createRaft: (raft, stored, reader) => {
          const now = clock.now();
          const tell = (step: TraceStep) => this.#lines.step(id, { ...step, at: this.#now });
          return new StagedRaft(raft, stored, reader, { now: () => now }, tell).heeding(() => player.isWoken);
        },
        send: (packet) => {
          const sent = { from: player.number, to: Number(packet.to.slice(1)), packet };
          this.#underWay.push(sent);
          this.#sent.push(sent);
        },
        reply: (_client, replies) => this.#hear(id, replies),
      },
      undefined,
    );
    this.#turn(player);
  }

  #hear(id: string, replies: readonly LaneReply[]): void {
    for (const reply of replies) {
      if (reply.kind === "refused") this.#say(id, reply.firstId, reply.error.code);
      if (reply.kind === "results") this.#say(id, reply.firstId, `done at ${reply.index}`);
      if (reply.kind === "answers") {
        this.#say(id, reply.firstId, String(decodeResults(reply.answers)[0]?.result ?? "absent"));
      }
    }
  }

  #say(id: string, asked: number, text: string): void {
    this.#lines.note(id, this.#now, `"${this.#asked.get(asked)}": ${text}`);
  }

  #wake(player: Player): void {
    player.isWoken = true;
    this.#turn(player);
    player.isWoken = false;
  }

  #turn(player: Player): void {
    const { process } = player;
    if (process === undefined) return;
    try {
      let turns = 0;
      do process.turn();
      while (process.shell.isBusy && ++turns < MOST_TURNS);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#bury(player, error.point);
    }
  }

  #bury(player: Player, point: string): void {
    if (player.process === undefined) return;
    this.#checker.ended(player.process);
    player.process = undefined;
    this.#lines.note(player.id, this.#now, `** dies: ${point}`);
  }

  #deliver(links: readonly Link[] | "all", except: readonly Link[]): void {
    for (let taken = this.#take(links, except); taken.length > 0; taken = this.#take(links, except)) {
      for (const sent of taken) this.#arrive(sent);
    }
  }

  #arrive({ to, packet }: Sent): void {
    const player = this.#players[to - 1];
    if (player?.process === undefined) return;
    player.process.take({ ...packet, bytes: packet.bytes.slice() });
    this.#turn(player);
  }

  #take(links: readonly Link[] | "all", except: readonly Link[]): Sent[] {
    const isTaken = (sent: Sent) => (links === "all" || isAmong(links, sent)) && !isAmong(except, sent);
    const taken = this.#underWay.filter(isTaken);
    this.#underWay = this.#underWay.filter((sent) => !isTaken(sent));
    return taken;
  }

  #writeLogs(): void {
    for (const { id, process } of this.#players) {
      if (process === undefined) continue;
      const { log, commitIndex, role, currentTerm } = process.raft;
      const terms: string[] = [];
      for (let index = log.firstIndex; index <= log.lastIndex; index++) terms.push(`${index}/t${log.termAt(index)}`);
      this.#lines.note(id, this.#now, `${role} t${currentTerm} c${commitIndex}: ${terms.join(" ")}`);
    }
  }
}

function isAmong(links: readonly Link[], { from, to }: Link): boolean {
  return links.some((link) => link.from === from && link.to === to);
}

function pointNamed(name: string): CrashPoint {
  const found = CRASH_POINTS.find((point) => point === name);
  if (found === undefined) throw new Error(`there is no point "${name}"; there are ${CRASH_POINTS.join(", ")}`);
  return found;
}

function describe({ verb, ...rest }: Statement): string {
  const shown = Object.values(rest).map((value) =>
    Array.isArray(value) ? value.map(({ from, to }: Link) => `${from}>${to}`).join(" ") : String(value ?? ""),
  );
  return [verb, ...shown].filter((word) => word !== "").join(" ");
}
