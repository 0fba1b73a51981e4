import { RecordedRaft } from "../../actors/recorded-raft.ts";
import type { RaftFactory } from "../../actors/traced-raft.ts";
import { MemoryRecord } from "../memory-record.ts";
import { checkConformance, explainRejection } from "../reference/check.ts";
import { Violation } from "./checks/violation.ts";

/** Records all lives of a run, and has them judged by the reference when it is over. */
export class Lives {
  readonly #records: MemoryRecord[] = [];

  readonly createRaft: RaftFactory = (options, stored, reader, clock, tell) => {
    const sink = new MemoryRecord();
    // To look at the clock for a trace would take time.
    const now = clock.now();
    const raft = new RecordedRaft(options, stored, reader, { now: () => now }, { sink, tell });
    this.#records.push(sink);
    return raft;
  };

  /** @returns undefined when all that was done is what the specification permits. */
  judge(): Violation | undefined {
    const judgement = checkConformance(this.#records.map(({ record }) => record));
    return judgement.accepted ? undefined : new Violation("conformance", explainRejection(judgement.rejection));
  }
}
