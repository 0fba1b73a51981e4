import type { Clock } from "../../actors/shell.ts";

/** 2026-01-01, when every world begins. */
const BEGIN = 1_767_225_600_000;

/** A peer's clock: runs at a rate of its own, and jumps when it is told to. It outlives the peer's processes. */
export class SimClock implements Clock {
  readonly #worldNow: () => number;
  readonly #rate: number;
  #offset = 0;
  #wallOffset = 0;

  /** @param rate 1: that of the world. */
  constructor(worldNow: () => number, rate: number) {
    this.#worldNow = worldNow;
    this.#rate = rate;
  }

  now(): number {
    return this.#worldNow() * this.#rate + this.#offset;
  }

  wall(): number {
    return Math.floor(BEGIN + this.now() + this.#wallOffset);
  }

  /** When it is `time` by this clock, in the world's time. */
  worldTime(time: number): number {
    return (time - this.#offset) / this.#rate;
  }

  jump(ms: number): void {
    this.#offset += ms;
  }

  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }
}
