import type { GradualMachine } from "../machine/offers.ts";
import { Sessions } from "../machine/sessions.ts";
import { ContentReader } from "../machine/snapshot-content.ts";
import type { Restoration } from "../machine/state-machine.ts";
import type { SnapshotInfo } from "../raft/effects.ts";

/**
 * What a snapshot that is coming in makes of the state, aside, chunk by chunk (§7). Taken in at once when it was complete, a
 * state of 170 MB was a turn of a second in which the peer heard nobody.
 */
export class IncomingState {
  readonly info: SnapshotInfo;
  readonly #content = new ContentReader();
  readonly #machine: Restoration;

  constructor(info: SnapshotInfo, machine: GradualMachine) {
    this.info = info;
    this.#machine = machine.beginRestore();
  }

  /**
   * Takes in the next chunk, and keeps it.
   * @throws what the machine throws, or Error for bytes that are no snapshot. All of this is of no use any more, then.
   */
  add(chunk: Uint8Array): void {
    const part = this.#content.add(chunk);
    if (part.byteLength > 0) this.#machine.add(part);
  }

  /** The machine has the new state. @returns the sessions of it. @throws as `add` does, and then nothing has changed. */
  finish(): Sessions {
    const { sessions, lacks } = this.#content;
    if (sessions === undefined) throw new Error(`a snapshot that ends ${lacks} bytes too early`);
    const restored = Sessions.restore(sessions);
    this.#machine.finish();
    return restored;
  }
}
