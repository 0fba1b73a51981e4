import type { RaftRecord, RecordedStep, RecordSink, RecordStart } from "../actors/record.ts";
import { invariant } from "../raft/errors.ts";

/** The record of one life in memory, for those who run the algorithm in their own thread. */
export class MemoryRecord implements RecordSink {
  #start: RecordStart | undefined;
  #steps: RecordedStep[] = [];

  start(start: RecordStart): void {
    this.#start = start;
  }

  step(step: RecordedStep): void {
    this.#steps.push(step);
  }

  flush(): void {
    // What is here is kept as long as it is wanted.
  }

  /** What was recorded so far. @throws InvariantError before the life has begun. */
  get record(): RaftRecord {
    invariant(this.#start !== undefined, () => "nothing was recorded yet");
    return { start: this.#start, steps: this.#steps, isCut: false };
  }

  /** Takes the last step out again. */
  takeStep(): RecordedStep | undefined {
    return this.#steps.pop();
  }
}
