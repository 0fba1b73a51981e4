import type { LaneReply } from "../../actors/protocol.ts";
import type { RaftFactory } from "../../actors/traced-raft.ts";
import type { Packet } from "../../actors/wire.ts";
import type { AnyStateMachine } from "../../machine/state-machine.ts";
import { InvariantError, RaftError } from "../../raft/errors.ts";
import type { Role } from "../../raft/state.ts";
import { MemoryDisk, MemoryStore } from "../../storage/memory.ts";
import type { Ambush } from "./ambush.ts";
import type { Checker } from "./checks/checker.ts";
import { Contact } from "./checks/contact.ts";
import type { DiskImage } from "./checks/disk-image.ts";
import { type CrashPoint, Killed } from "./crash-points.ts";
import type { Draw } from "./draw.ts";
import type { EventQueue } from "./event-queue.ts";
import type { FlippedTable } from "./faults.ts";
import type { Plan } from "./plan.ts";
import { type ArmedCrash, Process } from "./process.ts";
import { SimClock } from "./sim-clock.ts";
import { SimStore } from "./sim-store.ts";
import { type Taken, watchLog } from "./stall.ts";

/** Even a turn that does nothing takes this long. */
const TURN_MS = 0.01;

/** The end of a process, or of the attempt to start one. */
export interface Death {
  readonly process: Process | undefined;
  readonly role: Role;
  /** Where it was killed; `disk` when it was an error of its disk. */
  readonly point: CrashPoint | "disk";
}

const META_KEYS = ["format", "identity", "configuration", "hardState", "incarnation", "log", "snapshot"] as const;

/** What surrounds a peer. */
export interface PeerOptions {
  readonly plan: Plan;
  readonly position: number;
  readonly ids: readonly string[];
  readonly queue: EventQueue;
  readonly draw: Draw;
  readonly checker: Checker;
  readonly createMachine: () => AnyStateMachine;
  readonly createRaft: RaftFactory | undefined;
  readonly ambush: Ambush;
  /** A packet leaves at that time. */
  readonly send: (packet: Packet, at: number) => void;
  readonly reply: (client: number, replies: readonly LaneReply[], at: number) => void;
  readonly onDeath: (death: Death) => void;
  readonly onTurn: (process: Process) => void;
}

/** A peer: its disk and its clock, which stay, and the processes that come and go on them. */
export class SimPeer {
  readonly id: string;
  readonly position: number;
  readonly clock: SimClock;
  readonly image: DiskImage;
  disk = new MemoryDisk();
  /** The one that has the disk. */
  process: Process | undefined;
  /** That which lost it and does not know. */
  lingering: Process | undefined;
  isPaused = false;
  /** Its store is lost or broken, found out or not. */
  isDamaged = false;
  /** That was found out: it does not come back, and must not vote again. */
  isGivenUp = false;
  isFull = false;
  /** How long saves take besides what they always take. */
  slowMs = 0;
  /** How long it takes to apply a command. */
  applyMs = 0;
  /** For how long it stands still the next time it takes such a thing out of its inbox. */
  readonly stalls = new Map<Taken, number>();
  /** The next write fails, before or after it is done. */
  failing: { readonly isDone: boolean; readonly downMs: number } | undefined;
  downMs = 0;
  /** By how much the news of its next death is late. */
  newsLateMs = 0;
  lives = 0;
  /** Whether there was a time since its last start at which no process of any peer ran. */
  isCold = true;
  /** Its store was opened before; one whose disk failed at the very first time was not. */
  #isBorn = false;
  #armed: ArmedCrash | undefined;
  readonly #options: PeerOptions;
  /** How long the turn that is under way has taken. */
  #elapsed = 0;
  #isBusy = false;

  constructor(options: PeerOptions) {
    this.#options = options;
    const { position, ids, queue, plan, checker } = options;
    this.position = position;
    this.id = ids[position] ?? "";
    const image = checker.images.get(this.id);
    if (image === undefined) throw new InvariantError(`no disk image for ${this.id}`);
    this.image = image;
    this.clock = new SimClock(() => {
      if (this.#isBusy) this.#elapsed += plan.stepMs;
      return queue.now + this.#elapsed;
    }, plan.clockRates[position] ?? 1);
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  /** Starts a process, unless one runs. What goes wrong on the way is a death like another. */
  start(): void {
    const { plan, ids, checker, createMachine, createRaft, ambush, queue } = this.#options;
    if (this.process !== undefined) return;
    this.#elapsed = 0;
    const coldStart = this.isCold;
    this.isCold = false;
    const armed = this.#armed;
    this.#armed = undefined;
    let process: Process | undefined;
    this.lives++;
    const at = (point: CrashPoint) => {
      if (process !== undefined) process.at(point);
      else if (armed?.point === point && armed.skip-- <= 0) throw new Killed(point);
    };
    try {
      at("before opening");
      let commits = 0;
      const onDelay = () => {
        at("before commit");
        if (commits++ > 0) at("between commits");
      };
      Object.assign(this.disk, { latencyMs: () => 1, onDelay });
      this.#beginWrite();
      const identity = { cluster: "simulated", peer: this.id, store: `store of ${this.id}` };
      const store = MemoryStore.open({
        disk: this.disk,
        identity,
        configuration: { voters: ids },
        born: this.#isBorn,
        replaceBytes: plan.replaceBytes,
      });
      this.#isBorn = true;
      this.image.checkFound(store.state);
      at("after opening");
      const machine = checker.watch(createMachine(), `${this.id} (life ${store.state.incarnation})`);
      const simulated = new SimStore(store, {
        at,
        touch: () => {
          commits = 0;
          if (process?.isLingering) throw new Killed("idle");
        },
        beginWrite: () => this.#beginWrite(),
        written: (save) => {
          if (process !== undefined) checker.saved(process, save);
        },
        endWrite: () => this.#endWrite(),
        restoring: (index) => machine.beginsAt(index),
      });
      process = new Process(
        {
          ...{
            id: this.id,
            plan,
            coldStart,
            store: simulated,
            machine,
            clock: this.clock,
            image: this.image,
            checker,
            contact: new Contact(plan),
            createRaft,
            ambush,
          },
          onApply: () => {
            this.#elapsed += this.applyMs;
          },
          onMail: (raft) => this.#watchForStall(raft),
          send: (packet) => this.#options.send(packet, queue.now + this.#elapsed),
          reply: (client, replies) => this.#options.reply(client, replies, queue.now + this.#elapsed),
        },
        armed,
      );
      this.process = process;
      // What it begins with is no commit of the term in which it may lead at once.
      checker.observe(process);
      process.shell.addClient(0);
      process.busyUntil = queue.now + this.#elapsed;
      this.#elapsed = 0;
      this.wake(process, process.busyUntil);
    } catch (error) {
      this.#ended(process, error);
    }
  }

  /** Plans a turn of a process. */
  wake(process: Process, at: number): void {
    const due = Math.max(at, process.busyUntil);
    if (due >= process.nextTurn) return;
    process.nextTurn = due;
    this.#options.queue.add(due, () => {
      // Another turn was planned before this one, or has taken its place.
      if (process.nextTurn !== due || process.isDead) return;
      process.nextTurn = Number.POSITIVE_INFINITY;
      if (!this.isPaused) this.#turn(process);
    });
  }

  /** Mail has come for a process. */
  notify(process: Process): void {
    const { plan, draw, queue } = this.#options;
    this.wake(process, queue.now + draw.between(plan.wakeMs));
  }

  resume(): void {
    this.isPaused = false;
    for (const process of [this.process, this.lingering]) if (process !== undefined) this.notify(process);
  }

  /** The next process dies there, while it starts or later; or the one that runs. */
  arm(crash: ArmedCrash): void {
    if (crash.point === "before opening" || crash.point === "after opening" || this.process === undefined) {
      this.#armed = crash;
    } else this.process.arm(crash);
  }

  disarm(): void {
    this.#armed = undefined;
    this.process?.disarm();
  }

  /** Ends the process that runs, between two turns. @param lingerMs how long it goes on without its disk */
  kill(lingerMs = 0): void {
    const { process } = this;
    if (process === undefined) return;
    if (lingerMs > 0) {
      const { queue } = this.#options;
      this.#finish(this.lingering);
      process.isLingering = true;
      this.lingering = process;
      queue.add(queue.now + lingerMs, () => this.#finish(process));
      this.process = undefined;
      this.#options.onDeath({ process, role: process.role, point: "idle" });
      return;
    }
    this.#ended(process, new Killed("idle"));
  }

  /** Turns one bit of what is stored in a table. @param place 0 to 1: which. @returns whether there was one. */
  flipBit(table: FlippedTable, place: number): boolean {
    const keys = table === "meta" ? META_KEYS : this.disk.keysFrom(table, 0);
    const at = place * keys.length;
    const key = keys[Math.floor(at)];
    const bytes = key === undefined ? 0 : (this.disk.get(table, key)?.byteLength ?? 0);
    if (key === undefined || bytes === 0) return false;
    this.isDamaged = true;
    this.disk.flipBit(table, key, Math.floor((at % 1) * bytes * 8));
    return true;
  }

  /** The disk is gone, and with it the process; what comes back is empty. */
  loseDisk(downMs: number): void {
    this.isDamaged = true;
    this.downMs = downMs;
    this.kill();
    this.disk = new MemoryDisk();
  }

  /** It ends, for ever. */
  giveUp(): void {
    this.isGivenUp = true;
    this.kill();
  }

  #turn(process: Process): void {
    const { queue, onTurn } = this.#options;
    this.#elapsed = TURN_MS;
    this.#isBusy = true;
    try {
      process.turn();
    } catch (error) {
      this.#ended(process, error);
      return;
    }
    process.busyUntil = queue.now + this.#elapsed;
    onTurn(process);
    const { shell } = process;
    this.#isBusy = false;
    this.#elapsed = 0;
    this.wake(process, shell.isBusy ? process.busyUntil : this.clock.worldTime(shell.wakeAt));
  }

  #watchForStall(raft: Process["raft"]): (() => void) | undefined {
    const { stalls } = this;
    if (stalls.size === 0) return undefined;
    const taken = watchLog(raft);
    return () => {
      const having = stalls.has("mail") ? "mail" : taken();
      this.#elapsed += stalls.get(having) ?? 0;
      stalls.delete(having);
    };
  }

  #beginWrite(): void {
    const { plan, draw } = this.#options;
    this.#elapsed += draw.between(plan.saveMs) + this.slowMs;
    if (this.isFull) throw new RaftError("ERR_STORAGE_FULL", "the simulated disk is full");
    if (this.failing !== undefined && !this.failing.isDone) this.#fail(this.failing.downMs);
  }

  #endWrite(): void {
    if (this.failing?.isDone) this.#fail(this.failing.downMs);
  }

  #fail(downMs: number): never {
    this.failing = undefined;
    this.downMs = downMs;
    throw new RaftError("ERR_STORAGE_FAILED", "the simulated disk fails");
  }

  /** A process has ended by what it threw; or it could not even begin. */
  #ended(process: Process | undefined, error: unknown): void {
    this.#elapsed = 0;
    this.#isBusy = false;
    const { checker, onDeath } = this.#options;
    const isKilled = (thrown: unknown): thrown is Killed => thrown instanceof Killed;
    const cause = error instanceof RaftError && isKilled(error.cause) ? error.cause : error;
    if (!isKilled(cause) && !this.#isExplained(cause)) {
      checker.broken(process ?? { id: this.id, incarnation: this.lives }, cause);
    }
    if (process !== undefined && process === this.lingering) {
      this.#finish(process);
      return;
    }
    this.process = undefined;
    if (process !== undefined) this.#bury(process);
    onDeath({ process, role: process?.role ?? "follower", point: isKilled(cause) ? cause.point : "disk" });
  }

  /** Whether an error is of those that the disk of this peer is to have. */
  #isExplained(error: unknown): boolean {
    if (!(error instanceof RaftError)) return false;
    switch (error.code) {
      case "ERR_STORAGE_FULL":
      case "ERR_STORAGE_FAILED":
        return true;
      case "ERR_STORAGE_CORRUPT":
      case "ERR_STORAGE_LOST":
        this.isGivenUp = this.isDamaged;
        return this.isDamaged;
      default:
        return false;
    }
  }

  #finish(lingering: Process | undefined): void {
    if (lingering === undefined || lingering !== this.lingering) return;
    this.lingering = undefined;
    this.#bury(lingering);
  }

  #bury(process: Process): void {
    process.isDead = true;
    this.#options.checker.ended(process);
  }
}
