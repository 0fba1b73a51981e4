import type { LaneReply, LaneRequest } from "../../actors/protocol.ts";
import { Shell } from "../../actors/shell.ts";
import { timingOf } from "../../actors/timing.ts";
import type { RaftFactory } from "../../actors/traced-raft.ts";
import { arrived, type Delivery, type Packet } from "../../actors/wire.ts";
import { hashSeed, seededRandom } from "../../raft/random.ts";
import type { Role } from "../../raft/state.ts";
import type { Store } from "../../storage/store.ts";
import type { Ambush } from "./ambush.ts";
import type { Checker } from "./checks/checker.ts";
import type { Contact } from "./checks/contact.ts";
import type { DiskImage } from "./checks/disk-image.ts";
import type { WatchedMachine } from "./checks/states.ts";
import type { Subject } from "./checks/subject.ts";
import { type CrashPoint, Killed } from "./crash-points.ts";
import { Draw } from "./draw.ts";
import { withOwnBytes } from "./own-bytes.ts";
import type { Plan } from "./plan.ts";
import type { SimClock } from "./sim-clock.ts";

/** Where a process is to die. */
export interface ArmedCrash {
  readonly point: CrashPoint;
  readonly role: Role | undefined;
  /** Passages that go by before. */
  skip: number;
}

/** What surrounds a process. */
export interface ProcessOptions {
  readonly id: string;
  readonly plan: Plan;
  /** See `RaftOptions.coldStart`. */
  readonly coldStart: boolean;
  readonly store: Store;
  readonly machine: WatchedMachine;
  readonly clock: SimClock;
  readonly image: DiskImage;
  readonly checker: Checker;
  /** Left out where timers do not fire by themselves. */
  readonly contact?: Contact;
  readonly createRaft: RaftFactory | undefined;
  readonly ambush?: Ambush | undefined;
  /** A command is about to be applied: that may take time. */
  readonly onApply?: () => void;
  /** Mail is about to be handed in. @returns what is called when it has been. */
  readonly onMail?: (raft: Shell["raft"]) => (() => void) | undefined;
  /** It looked at its clock: computing takes time. */
  readonly send: (packet: Packet) => void;
  readonly reply: (client: number, replies: readonly LaneReply[]) => void;
}

/** Of the mail that waits. */
type Mail = { readonly delivery: Delivery } | { readonly client: number; readonly request: LaneRequest };

/** One life of a peer: the shell, its inbox, and the points at which it may die. */
export class Process implements Subject {
  readonly id: string;
  readonly incarnation: number;
  readonly image: DiskImage;
  readonly shell: Shell;
  readonly #options: ProcessOptions;
  #inbox: Mail[] = [];
  /** When the first of it came. */
  #mailSince = Number.POSITIVE_INFINITY;
  #armed: ArmedCrash | undefined;
  isDead = false;
  current = { since: 0 };
  /** Its disk was taken away: another process may have it. It dies when it asks for it. */
  isLingering = false;
  /** When its next turn is due, in the world's time. */
  nextTurn = Number.POSITIVE_INFINITY;
  /** Until when the last turn takes. */
  busyUntil = 0;

  /** What the shell's constructor throws is the end of the process. */
  constructor(options: ProcessOptions, arm: ArmedCrash | undefined) {
    this.#options = options;
    this.#armed = arm;
    const { id, plan, coldStart, store, machine, clock, image, createRaft } = options;
    const { incarnation } = store.state;
    this.id = id;
    this.image = image;
    this.incarnation = incarnation;
    const timing = timingOf(plan);
    const share = new Draw(plan.seed, "own bytes", id).random();
    this.shell = new Shell({
      group: "main",
      raft: {
        ...plan.limits,
        ...timing,
        leaseMs: plan.leases ? timing.leaseMs : 0,
        id,
        coldStart,
        incarnation,
        random: seededRandom(hashSeed(plan.seed, id, incarnation)),
      },
      store,
      machine: plan.ownBytes ? withOwnBytes(machine, share) : machine,
      clock,
      send: (packets) => this.#send(packets),
      // In a thread the memory is gone then: who still reads from it here finds nothing that makes sense.
      release: (buffer) => new Uint8Array(buffer).fill(0xee),
      reply: (client, replies) => {
        options.checker.observe(this);
        options.reply(client, replies);
        this.at("after reply");
      },
      calls: {
        enter: (call) => {
          this.#call = call;
          if (call === "apply") this.#beforeApply();
          else if (call === "snapshot") this.at("freeze");
          else if (call === "restore") this.at("restore");
        },
        leave: () => {
          if (this.#call === "apply") this.at("after apply");
        },
      },
      publish: () => this.at("before reply"),
      snapshotEvery: plan.snapshotEvery,
      chunkBytes: plan.chunkBytes,
      maxPendingBytes: plan.maxPendingBytes,
      onSnapshot: ({ index, term }) => options.checker.snapshot(this, index, term),
      onSnapshotFailed: (error) => options.checker.broken(this, error),
      trace: false,
      createRaft,
    });
  }

  #call = "";

  get machine(): WatchedMachine {
    return this.#options.machine;
  }

  get raft(): Shell["raft"] {
    return this.shell.raft;
  }

  get lastApplied(): number {
    return this.shell.lastApplied;
  }

  now(): number {
    return this.#options.clock.now();
  }

  /** Mail comes in. @returns whether it wakes the process. */
  take(delivery: Delivery): boolean {
    const isQuiet = delivery.kind === "packet" && delivery.isQuiet;
    const arrivedAt = this.#options.clock.now();
    this.#mailSince = Math.min(this.#mailSince, arrivedAt);
    this.#inbox.push({ delivery: isQuiet ? arrived(delivery, arrivedAt) : delivery });
    return !isQuiet;
  }

  takeRequest(client: number, request: LaneRequest): void {
    this.#inbox.push({ client, request });
  }

  /** All that waits is handed in, and then a turn. What it throws is the end of this process. */
  turn(): void {
    const { checker, clock, contact } = this.#options;
    const began = clock.now();
    this.current = { since: Math.min(began, this.#mailSince) };
    contact?.begins(this, began);
    this.#mailSince = Number.POSITIVE_INFINITY;
    const mail = this.#inbox;
    this.#inbox = [];
    const handedIn = this.#options.onMail?.(this.raft);
    for (const item of mail) {
      if ("delivery" in item) {
        if (item.delivery.kind === "packet") contact?.hears(item.delivery.from, began);
        this.shell.deliver(item.delivery);
      } else this.shell.request(item.client, item.request);
      checker.observe(this);
    }
    if (mail.length > 0) {
      handedIn?.();
      this.at("mail");
    }
    this.shell.turn();
    checker.observe(this);
    contact?.ends(this, began);
  }

  arm(crash: ArmedCrash): void {
    this.#armed = crash;
  }

  disarm(): void {
    this.#armed = undefined;
  }

  /** Passes a point; this may be the end. */
  at(point: CrashPoint): void {
    const { ambush } = this.#options;
    if (ambush?.isLaid && !this.isLingering && ambush.springs(point, this.role)) throw new Killed(point);
    const armed = this.#armed;
    if (armed === undefined || armed.point !== point) return;
    if (armed.role !== undefined && armed.role !== this.role) return;
    if (armed.skip-- > 0) return;
    this.#armed = undefined;
    throw new Killed(point);
  }

  /** While the shell is being made there is no role yet; it begins as a follower. */
  get role(): Role {
    return this.shell?.raft.role ?? "follower";
  }

  /** The full replay goes first. */
  #beforeApply(): void {
    this.#options.checker.observe(this);
    this.#options.onApply?.();
    this.at("before apply");
  }

  #send(packets: readonly Packet[]): void {
    const { checker, send } = this.#options;
    checker.observe(this);
    this.at("before sending");
    for (const packet of packets) {
      checker.sends(this, packet);
      send(packet);
      this.at("while sending");
    }
    this.at("after sending");
  }
}
